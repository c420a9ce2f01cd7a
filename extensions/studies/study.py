"""What a study is: plain data between its file ``study.json`` and everyone who reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from webui.api import LifelikeError

from .staircase import Staircase

FORMAT = 1
FILE = "study.json"
IMAGES = "images"

Kind = Literal["two_choice", "yes_no", "preference"]
Use = Literal["main", "practice", "scrambled", "mask"]
Stage = Literal["practice", "attention", "main"]

STUDY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
LINK = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
IMAGE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)

ANSWERS: Mapping[Kind, tuple[str, ...]] = {
    "two_choice": ("left", "right"),
    "yes_no": ("yes", "no"),
    "preference": ("left", "right", "tie"),
}


class DamagedStudy(LifelikeError):
    """A study's file cannot be read."""


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one origin. ``real``: photographs or whatever the generated ones are held against."""

    id: str
    name: str
    real: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture as raters see it: ``images/<id>.png``."""

    id: str
    set: str
    """Id of its set; empty for a mask."""
    place: int
    """In its set; pictures of several sets at one place belong together."""
    use: Use = "main"
    source: str = ""
    """The file or the artifact that it was made from."""


@dataclass(frozen=True)
class Trial:
    """One question: a picture, or two, the left one first."""

    stage: Stage
    pictures: tuple[str, ...]
    truth: str = ""
    """The right answer; empty where there is none."""


@dataclass(frozen=True)
class Study:
    """One study. It does not change, but for ``closed``."""

    id: str
    link: str
    """In the address that raters open: 128 bits that nobody guesses."""
    title: str
    kind: Kind
    created_at: float
    """Seconds since 1970."""
    sets: tuple[PictureSet, ...]
    pictures: tuple[Picture, ...]
    width: int
    height: int
    trials: int
    """Main trials of each rater."""
    practice: int
    attention: int
    attention_share: float = 0.75
    """Whoever answers fewer of the attention trials rightly is excluded."""
    matched: bool = False
    """Whether pictures at one place of the sets are shown together."""
    ties: bool = False
    staircase: Staircase | None = None
    """None: as long as a rater likes."""
    seed: int = 0
    question: str = ""
    consent: str = ""
    """Own words in place of the usual ones."""
    max_raters: int = 500
    closed: bool = False
    """Whether no answers are taken; on disk it is a file beside this one."""
    notes: tuple[str, ...] = ()
    """What the owner should know of how it was made."""

    @property
    def answers(self) -> tuple[str, ...]:
        found = ANSWERS[self.kind]
        return found if self.ties or self.kind != "preference" else found[:2]

    @property
    def real_set(self) -> PictureSet | None:
        return next((one for one in self.sets if one.real), None)

    def picture(self, picture_id: str) -> Picture:
        """Raises KeyError."""
        return self.by_id[picture_id]

    @cached_property
    def by_id(self) -> Mapping[str, Picture]:
        return {one.id: one for one in self.pictures}

    @cached_property
    def by_set(self) -> Mapping[str, PictureSet]:
        return {one.id: one for one in self.sets}

    def used(self, use: Use, set_id: str | None = None) -> tuple[Picture, ...]:
        """Pictures of a use, of one set or of all, by place."""
        found = [one for one in self.pictures if one.use == use and set_id in (None, one.set)]
        return tuple(sorted(found, key=lambda one: (one.set, one.place)))

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}, ensure_ascii=False, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Study:
        """Raises DamagedStudy."""
        try:
            body = json.loads(text)
            if body.pop("format") != FORMAT:
                raise ValueError(f"expected format {FORMAT}")
            stairs = body.pop("staircase")
            study = Study(
                sets=tuple(PictureSet(**one) for one in body.pop("sets")),
                pictures=tuple(Picture(**one) for one in body.pop("pictures")),
                staircase=Staircase(**stairs) if stairs is not None else None,
                notes=tuple(body.pop("notes")),
                **body,
            )
            if not (STUDY_ID.fullmatch(study.id) and LINK.fullmatch(study.link) and study.kind in ANSWERS):
                raise ValueError("its id, link or kind is none")
            if not all(IMAGE_ID.fullmatch(one.id) for one in study.pictures):
                raise ValueError("a picture's id is none")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedStudy(f"this is no study of format {FORMAT}: {error}.") from None
        return study


def image_path(folder: Path, picture_id: str) -> Path:
    """Where a picture of the study in ``folder`` lies."""
    return folder / IMAGES / f"{picture_id}.png"
