"""studies.arena: several models or settings draw the same prompts with the same seeds, and people choose between them.

A preference study that grows: it is open from the first few pictures on, and each further seed joins it while people
answer. Runs are runs within this job, so models come from the one cache, and nothing is kept but what raters see.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from webui.api import Artifact, Cancelled, Context, JobFailed, LifelikeError

from . import pictures
from .create import FOLDER, study_name, summary
from .params import ArenaParams
from .store import write_study
from .study import FILE, IMAGES, Picture, PictureSet, Study, image_path

PRACTICE = 2
FIRST_PLACES = PRACTICE + 2
"""Seeds that must be drawn before anyone is asked: those of practice, and some to ask of."""
_MOST_FAILURES = 3
"""Seeds in a row at which a contender may fail before the job does."""


@dataclass(frozen=True)
class Contender:
    """Something that draws: a pipeline with its parameters, but for prompt and seed."""

    name: str
    pipeline: str
    params: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What ``accept`` settled."""

    contenders: tuple[Contender, ...]
    prompts: tuple[str, ...]
    """Empty: the prompt is among the parameters, or there is none."""
    first_seed: int

    def to_json(self) -> dict[str, Any]:
        return {
            "contenders": [[one.name, one.pipeline, one.params] for one in self.contenders],
            "prompts": list(self.prompts),
            "first_seed": self.first_seed,
        }

    @staticmethod
    def from_json(body: Any) -> Plan:
        return Plan(
            tuple(Contender(str(name), str(pipeline), dict(params)) for name, pipeline, params in body["contenders"]),
            tuple(body["prompts"]),
            int(body["first_seed"]),
        )

    def params_of(self, contender: Contender, place: int) -> dict[str, Any]:
        """Every prompt in turn; the seed goes up by one a place, for all contenders alike."""
        given = dict(contender.params)
        if self.prompts:
            given["prompt"] = self.prompts[place % len(self.prompts)]
        return {**given, "seed": self.first_seed + place}


class Arena:
    """studies.arena."""

    def run(self, params: ArenaParams, context: Context) -> Iterator[Artifact]:
        """One artifact: where raters and owner go. What an interrupted attempt drew is kept. Raises JobFailed where a
        contender fails again and again.
        """
        if not params.plan:
            raise JobFailed("this arena has no plan.", hint="Start it from its form, by HTTP or by the command line.")
        plan = Plan.from_json(params.plan)
        # Artifact 0 is what is told in the end; each run has a place of its own in the progress, for nothing it makes
        # is kept as an artifact.
        runs = 1 + params.pictures * len(plan.contenders)
        if 0 not in context.pending(runs):
            return
        growing = _Growing(params, plan, context)
        failures = 0
        for place in growing.missing(params.pictures):
            try:
                drawn = [self._draw(plan, nth, place, context) for nth in range(len(plan.contenders))]
            except Cancelled:
                raise
            except LifelikeError as error:
                failures += 1
                context.warn(f"seed {plan.first_seed + place} is left out: {error.message}")
                if failures >= _MOST_FAILURES:
                    raise
                continue
            failures = 0
            growing.add(place, drawn)
            context.progress(growing.places, params.pictures, "drawing", batch=runs)
            if growing.places == FIRST_PLACES:
                context.log.info("the arena is open at %s", summary(growing.study)["link"])
        if growing.places < FIRST_PLACES:
            raise JobFailed(f"only {growing.places} seeds were drawn by all, expected {FIRST_PLACES} or more.")
        yield Artifact("scalar", summary(growing.study), title=params.title)

    def _draw(self, plan: Plan, nth: int, place: int, context: Context) -> Image.Image:
        contender = plan.contenders[nth]
        taken: list[Artifact] = []
        index = 1 + place * len(plan.contenders) + nth
        context.run(contender.pipeline, plan.params_of(contender, place), index=index, take=taken.append)
        image = next((one.data for one in taken if one.kind == "image"), None)
        if not isinstance(image, Image.Image):
            raise JobFailed(f"{contender.name} drew no picture.")
        return pictures.plain(image)


class _Growing:
    """The study's folder. It is given its name once there are pictures enough to ask of."""

    def __init__(self, params: ArenaParams, plan: Plan, context: Context) -> None:
        root = context.folders(FOLDER)[0]
        self._params, self._context = params, context
        name = study_name(params.title, context.job)
        self._open, self._hidden = root / name, root / f".{name}.tmp"
        folder = self._open if self._open.is_dir() else self._hidden
        if (folder / FILE).is_file():
            self.study = Study.from_json((folder / FILE).read_text(encoding="utf-8"))
        else:
            shutil.rmtree(self._hidden, ignore_errors=True)
            (self._hidden / IMAGES).mkdir(parents=True)
            self.study = self._new(name, plan)

    def _new(self, name: str, plan: Plan) -> Study:
        params = self._params
        sets = tuple(PictureSet(f"s{place + 1}", one.name) for place, one in enumerate(plan.contenders))
        return Study(
            id=name, link=secrets.token_urlsafe(16), title=params.title, kind="preference",
            created_at=self._context.job.created_at, sets=sets, pictures=(), width=0, height=0, trials=params.trials,
            practice=PRACTICE, attention=params.attention, matched=True, ties=params.ties, seed=plan.first_seed,
            question=params.question.strip(), consent=params.consent.strip(), max_raters=params.max_raters,
        )  # fmt: skip

    @property
    def _folder(self) -> Path:
        return self._open if self._open.is_dir() else self._hidden

    @property
    def places(self) -> int:
        """Seeds that every contender has drawn."""
        return len({one.place for one in self.study.pictures})

    def missing(self, total: int) -> list[int]:
        """Places that are not drawn yet."""
        done = {one.place for one in self.study.pictures}
        return [place for place in range(total) if place not in done]

    def add(self, place: int, drawn: Sequence[Image.Image]) -> None:
        """The pictures of one seed, a contender each: on disk, then in the study, all or none."""
        if not self.study.pictures:
            width, height = pictures.common_size([image.size for image in drawn], self._params.size)
            self.study = replace(self.study, width=width, height=height)
        size = (self.study.width, self.study.height)
        use = "practice" if self.places < PRACTICE else "main"
        added = []
        for one, image in zip(self.study.sets, drawn, strict=True):
            fitted = pictures.fit(image, size)
            made = [(Picture(secrets.token_hex(16), one.id, place, use, f"seed {self.study.seed + place}"), fitted)]
            if use == "practice":
                broken = pictures.scramble(fitted, random.Random(place))
                made.append((Picture(secrets.token_hex(16), one.id, place, "scrambled", made[0][0].source), broken))
            for picture, content in made:
                pictures.write_png(content, image_path(self._folder, picture.id))
                added.append(picture)
        self.study = replace(self.study, pictures=(*self.study.pictures, *added))
        write_study(self._folder, self.study)
        if self.places >= FIRST_PLACES and not self._open.is_dir():
            os.replace(self._hidden, self._open)
