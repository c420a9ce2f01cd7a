"""studies.create: pictures of several sets become a study, a folder that is there whole or not at all."""

from __future__ import annotations

import os
import random
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from webui.api import Artifact, Context, Job, JobFailed, LifelikeError

from . import pictures
from .accepting import Source, sources, staircase
from .design import most_trials
from .params import CreateParams
from .staircase import MASKS
from .store import write_study
from .study import IMAGES, Kind, Picture, PictureSet, Study, Use, image_path

FOLDER = "studies"
"""Of the user's data folder."""
RATE_PATH, DESK_PATH = "/ext/studies/r/", "/ext/studies/"
_SCRAMBLED = 8


@dataclass(frozen=True)
class Found:
    """A picture that may become part of a study."""

    open: Callable[[], Image.Image]
    name: str
    format: str = ""


@dataclass(frozen=True)
class Chosen:
    """A picture with its part in the study."""

    found: Found
    set: str
    place: int
    use: Use


class Create:
    """studies.create."""

    def run(self, params: CreateParams, context: Context) -> Iterator[Artifact]:
        """One artifact: where raters and owner go. Raises JobFailed where the sets do not suffice."""
        if not context.pending(1):
            return
        given = sources(params)
        kind: Kind = params.kind  # type: ignore[assignment]  # one of the declared options
        sets = tuple(
            PictureSet(f"s{place + 1}", one.name, real=kind != "preference" and place == 0)
            for place, one in enumerate(given)
        )
        draw = random.Random(f"pictures:{params.seed}")
        found = [_found(one, context) for one in given]
        notes = _same_formats(sets, found, params)
        chosen = choose(params, sets, found, draw)
        study_id = study_name(params.title, context.job)
        root = context.folders(FOLDER)[0]
        target = root / study_id
        temporary = root / f".{study_id}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was interrupted
        if not target.is_dir():
            (temporary / IMAGES).mkdir(parents=True)
            try:
                study = self._write(params, kind, sets, chosen, temporary, study_id, notes, draw, context)
                write_study(temporary, study)
                os.replace(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        else:
            study = Study.from_json((target / "study.json").read_text(encoding="utf-8"))
        for note in study.notes:
            context.warn(note)
        yield Artifact("scalar", summary(study), title=study.title)

    def _write(
        self,
        params: CreateParams,
        kind: Kind,
        sets: tuple[PictureSet, ...],
        chosen: Sequence[Chosen],
        folder: Path,
        study_id: str,
        notes: Sequence[str],
        draw: random.Random,
        context: Context,
    ) -> Study:
        sizes = []
        for place, one in enumerate(chosen):
            context.progress(place, 2 * len(chosen), "looking at the pictures")
            sizes.append(_open(one.found).size)
        size = pictures.common_size(sizes, params.size)
        writer = _Writer(folder, size, jpeg=params.same_compression)
        for place, one in enumerate(chosen):
            context.progress(len(chosen) + place, 2 * len(chosen), "writing the pictures")
            writer.add(one)
        known = [one for one in chosen if one.use == "practice"]
        if params.attention or (kind == "preference" and params.practice):
            for one in known[:_SCRAMBLED]:
                writer.scrambled(one, draw)
        stairs = staircase(params) if params.timing == "staircase" else None
        if stairs is not None:
            some = [one for one in chosen if one.use == "main"]
            writer.masks([_open(one.found) for one in draw.sample(some, min(12, len(some)))], draw)
        study = Study(
            id=study_id,
            link=secrets.token_urlsafe(16),
            title=params.title,
            kind=kind,
            created_at=context.job.created_at,
            sets=sets,
            pictures=tuple(writer.pictures),
            width=size[0],
            height=size[1],
            trials=params.trials,
            practice=params.practice,
            attention=params.attention,
            attention_share=params.attention_share,
            matched=params.matched,
            ties=params.ties and kind == "preference",
            staircase=stairs,
            seed=params.seed,
            question=params.question.strip(),
            consent=params.consent.strip(),
            max_raters=params.max_raters,
        )
        trials = most_trials(study)
        told = (*notes, *_too_few(params, trials), *_enlarged(sizes, size))
        return replace(study, trials=min(params.trials, trials), notes=told)


class _Writer:
    """Puts pictures under random names into the study's folder, and lists them."""

    def __init__(self, folder: Path, size: tuple[int, int], *, jpeg: bool) -> None:
        self._folder, self._size, self._jpeg = folder, size, jpeg
        self.pictures: list[Picture] = []

    def add(self, one: Chosen) -> None:
        self._put(self._fitted(one), one.set, one.place, one.use, one.found.name)

    def scrambled(self, one: Chosen, draw: random.Random) -> None:
        self._put(pictures.scramble(self._fitted(one), draw), one.set, one.place, "scrambled", one.found.name)

    def masks(self, images: Sequence[Image.Image], draw: random.Random) -> None:
        fitted = [pictures.fit(image, self._size) for image in images]
        for place in range(MASKS):
            self._put(pictures.mask(fitted, self._size, draw), "", place, "mask", "")

    def _fitted(self, one: Chosen) -> Image.Image:
        return pictures.fit(_open(one.found), self._size, jpeg=self._jpeg)

    def _put(self, image: Image.Image, set_id: str, place: int, use: Use, source: str) -> None:
        picture = Picture(secrets.token_hex(16), set_id, place, use, source)
        pictures.write_png(image, image_path(self._folder, picture.id))
        self.pictures.append(picture)


def _open(found: Found) -> Image.Image:
    try:
        return found.open()
    except LifelikeError as error:
        raise JobFailed(f"a picture cannot be used: {error.message}", hint=error.hint) from None


def _found(source: Source, context: Context) -> list[Found]:
    """The pictures of a set, in their order. Raises JobFailed, ParameterError."""
    if source.folder:
        folder = context.open_folder(source.folder)
        found = [
            Found(lambda path=path: pictures.open_file(path), path.relative_to(folder).as_posix(), path.suffix.lower())  # type: ignore[misc]
            for path in pictures.in_folder(folder)
        ]
        what = f"the folder {source.folder}"
    else:
        refs = source.pictures or tuple(context.collection(source.collection))
        found = [
            Found(lambda ref=ref: pictures.plain(context.open_image(ref)), ref, context.open_file(ref).suffix.lower())  # type: ignore[misc]
            for ref in refs
        ]
        what = f"the collection {source.collection!r}" if source.collection else "the chosen pictures"
    if len(found) < 2:
        raise JobFailed(f"set {source.name!r}: {what} has {len(found)} pictures, expected 2 or more.")
    return found


def choose(
    params: CreateParams, sets: Sequence[PictureSet], found: Sequence[Sequence[Found]], draw: random.Random
) -> list[Chosen]:
    """Which pictures are used, and for what: those of practice and attention trials are seen in no other. Raises
    JobFailed.
    """
    real = sets[0].real
    needed = params.practice if real else min(params.practice, _SCRAMBLED)
    if params.kind == "yes_no":
        needed = -(-needed // 2)
    reserved = max(needed, 1) if params.attention or params.practice else 0
    counts = [min(len(one), params.per_set) for one in found]
    if params.matched:
        if len({len(one) for one in found}) > 1:
            told = ", ".join(f"{one.name!r} {len(of)}" for one, of in zip(sets, found, strict=True))
            raise JobFailed(f"matched pictures: expected as many pictures in each set, got {told}.")
        shared = draw.sample(range(len(found[0])), counts[0])
        orders = [shared] * len(sets)
    else:
        orders = [draw.sample(range(len(one)), count) for one, count in zip(found, counts, strict=True)]
    chosen = []
    for one, pictures_, order in zip(sets, found, orders, strict=True):
        if len(order) < reserved + 2:
            raise JobFailed(
                f"set {one.name!r} has {len(order)} pictures; with {params.practice} practice trials it needs "
                f"{reserved + 2} or more.",
                hint="Add pictures, or ask for fewer practice trials.",
            )
        for nth, place in enumerate(order):
            chosen.append(Chosen(pictures_[place], one.id, place, "practice" if nth < reserved else "main"))
    return chosen


def _too_few(params: CreateParams, most: int) -> list[str]:
    if params.trials <= most:
        return []
    return [f"There are pictures for {most} trials of a rater, not {params.trials}."]


def _enlarged(sizes: Sequence[tuple[int, int]], size: tuple[int, int]) -> list[str]:
    small = sum(1 for one in sizes if one[0] < size[0] or one[1] < size[1])
    return (
        [f"{small} pictures are smaller than {size[0]} x {size[1]} and were enlarged: blur may tell them."]
        if small
        else []
    )


def _same_formats(sets: Sequence[PictureSet], found: Sequence[Sequence[Found]], params: CreateParams) -> list[str]:
    lossy = {
        one.name: sum(each.format in (".jpg", ".jpeg") for each in of) / len(of)
        for one, of in zip(sets, found, strict=True)
    }
    if params.same_compression or max(lossy.values()) - min(lossy.values()) < 0.5:
        return []
    told = ", ".join(f"{name} {share:.0%}" for name, share in lossy.items())
    return [
        f"JPEG files are unequally many in the sets ({told}): traces of compression may tell them. "
        "See Same compression."
    ]


def study_name(title: str, job: Job) -> str:
    """The id of the study that a job makes, the same when it is tried again: day, title, the end of the job's id."""
    return f"{time.strftime('%Y%m%d', time.gmtime(job.created_at))}-{slug(title)}-{job.id[-6:].lower()}"


def slug(title: str) -> str:
    """Small letters and hyphens of a title, for a folder's name."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:30].strip("-") or "study"


def summary(study: Study) -> dict[str, object]:
    """What its owner goes on with."""
    return {
        "study": study.id,
        "link": RATE_PATH + study.link,
        "results": DESK_PATH + "#" + study.id,
        "trials": study.practice + study.attention + study.trials,
        "pictures": {one.name: len(study.used("main", one.id)) for one in study.sets},
        "size": [study.width, study.height],
    }
