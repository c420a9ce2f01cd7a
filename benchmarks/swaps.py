"""Swapped faces and expressions of drawn people, as jobs, against known truth: what is taken, what is kept, the seam.

    python benchmarks/swaps.py --cases 40 --ways warp latents:0.2
    python benchmarks/swaps.py --pipeline faces.expression --size 256

Every case is two drawn avatars of held-out seeds. What should come out is known: the first one's drawing with the
second one's eyes, mood, beard and eyewear; of an expression, with its mood. Told are, of these, how many are read as
the second one's and, of all else, how many as the first one's (by the judge, and by which of all drawings that differ
in one attribute is nearest); likeness to either; how many pixels outside of the mask changed; and how far pixels are
from that drawing: of those that were changed, and in a ring of three pixels on each side of their edge, where a seam
would be. The mark in the pixels is left out. Prints one JSON object; with ``--state`` a run that was stopped goes on.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _sd15
import cv2
import numpy as np
from faces import ROOT, Jobs, judged_values, nearest_values
from PIL import Image

from extensions.faces.vocabulary import TAKEN
from extensions.starter.data import HELD_OUT
from extensions.starter.judge import Judge, load_judge
from extensions.starter.world import AVATAR_SPEC, Avatar, draw, sample
from webui.testing import make_studio

_FIRST = HELD_OUT + 60_000_000
_SIZE_PX, _RING_PX = 128, 3
_NEVER = frozenset({"style", "age"})
"""Age is the shape of a head as much as of a face."""


TAKES: Mapping[str, frozenset[str]] = {"faces.swap": TAKEN["face"], "faces.expression": frozenset({"mood"})}


def pairs(count: int, taken: frozenset[str]) -> list[tuple[Avatar, Avatar]]:
    """Flat avatars whose faces differ in what is taken, in two attributes at least where it is as many."""
    found, seed = [], _FIRST
    while len(found) < count:
        ours, theirs = (sample(seed + i, "avatar").with_(style="flat", lighting="day") for i in range(2))
        if sum(getattr(ours, name) != getattr(theirs, name) for name in taken) >= min(2, len(taken)):
            found.append((ours, theirs))
        seed += 2
    return found


def as_url(picture: Image.Image) -> str:
    """The picture in a data URL."""
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return "data:;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def wanted_of(ours: Avatar, theirs: Avatar, taken: frozenset[str]) -> Avatar:
    """Who should come out."""
    return ours.with_(**{name: getattr(theirs, name) for name in taken})


@dataclass
class Bench:
    """What every case needs."""

    jobs: Jobs
    judge: Judge
    pipeline: str
    size: int
    counts: Counter[str] = field(default_factory=Counter)


def one_case(ours: Avatar, theirs: Avatar, way: str, bench: Bench) -> Image.Image:
    """Count one case in one way."""
    counts, wanted = bench.counts, wanted_of(ours, theirs, TAKES[bench.pipeline])
    picture, other, goal = (draw(one, bench.size) for one in (ours, theirs, wanted))
    name, *more = way.split(":")
    given: dict[str, Any] = {"image": as_url(picture), "source": as_url(other), "consent": True, "way": name, "seed": 7}
    given |= dict(zip(("denoise", "guidance_scale"), map(float, more), strict=False))
    began = time.perf_counter()
    made, numbers = bench.jobs.run(bench.pipeline, given)
    counts[f"{way}/seconds"] += time.perf_counter() - began  # type: ignore[assignment]
    counts[f"{way}/failed"] += made is None
    counts[f"{way}/outside"] += numbers.get("changed_outside_of_the_mask", 0)
    shown = made or picture
    small = shown.resize((_SIZE_PX,) * 2, Image.Resampling.BOX)
    for by, told in (("judge", judged_values(bench.judge, small)), ("drawing", nearest_values(small, wanted))):
        for attribute, value in told.items():
            if attribute in _NEVER or wanted.labels()[attribute] < 0:
                continue
            kind = "taken" if attribute in TAKES[bench.pipeline] else "kept"
            if kind == "taken" and getattr(ours, attribute) == getattr(theirs, attribute):
                continue
            for key in (f"{kind}/{by}", f"{attribute}/{by}"):
                counts[f"{way}/{key}/all"] += 1
                counts[f"{way}/{key}/right"] += value == getattr(wanted, attribute)
    for key in ("likeness_to_source", "likeness_to_picture"):
        counts[f"{way}/{key}"] += numbers.get(key, 0.0)
    count_pixels(way, picture, shown, goal, counts)
    return shown


def count_pixels(way: str, picture: Image.Image, shown: Image.Image, goal: Image.Image, counts: Counter[str]) -> None:
    """How far the pixels that were changed, and those at their edge, are from what should have come out."""
    before, after, wanted = (np.asarray(one, np.float32) for one in (picture, shown, goal))
    changed = (np.abs(after - before).max(2) > 0).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    kernel = np.ones((2 * _RING_PX + 1,) * 2, np.uint8)
    ring = cv2.dilate(changed, kernel) - cv2.erode(changed, kernel)
    away = np.abs(after - wanted).mean(2)
    for name, where in (("pixels", changed), ("seam", ring)):
        counts[f"{way}/{name}"] += float(away[where > 0].mean()) if where.any() else 0.0  # type: ignore[assignment]


def told(counts: Counter[str], way: str, cases: int) -> dict[str, Any]:
    """The numbers of one way."""

    def share(key: str) -> float:
        return round(counts[f"{way}/{key}/right"] / max(1, counts[f"{way}/{key}/all"]), 4)

    row: dict[str, Any] = {f"{kind}_by_{by}": share(f"{kind}/{by}") for kind in ("taken", "kept") for by in _BY}
    row["by_attribute"] = {name: [share(f"{name}/{by}") for by in _BY] for name in AVATAR_SPEC if name not in _NEVER}
    for key in ("likeness_to_source", "likeness_to_picture", "pixels", "seam", "seconds"):
        row[key] = round(counts[f"{way}/{key}"] / cases, 4)
    row["pixels_changed_outside_of_the_mask"] = counts[f"{way}/outside"]
    row["failed"] = counts[f"{way}/failed"]
    return row


_BY = ("judge", "drawing")


def sheet(rows: Sequence[Sequence[Image.Image]], path: Path) -> None:
    """Rows of pictures side by side."""
    Image.fromarray(np.vstack([np.hstack([np.asarray(one.convert("RGB")) for one in row]) for row in rows])).save(path)


def main() -> None:
    """Run and print."""
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--pipeline", choices=TAKES, default="faces.swap")
    parser.add_argument("--ways", nargs="+", default=["warp", "latents:0.2"], help="A way, or latents:DENOISE:GUIDANCE")
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--size", type=int, default=_SIZE_PX, help="Edge of the pictures in pixels")
    parser.add_argument("--sheet", type=Path, help="A picture of the cases that this run did")
    parser.add_argument("--state", type=Path, help="A file of what was counted so far; a run goes on from it")
    given = parser.parse_args()
    taken, rows = TAKES[given.pipeline], []
    with tempfile.TemporaryDirectory() as data:
        unmarked = {"provenance": {"watermark": False}}
        studio = make_studio(Path(data), models_dirs=[given.models], offline=True, extensions=unmarked)
        judge = load_judge(given.models / "starter" / "judge")
        bench = Bench(Jobs(studio), judge, given.pipeline, given.size)
        done = 0
        if given.state and given.state.is_file():
            said = json.loads(given.state.read_text())
            done, bench.counts = said["done"], Counter(said["counts"])
        for place, (ours, theirs) in list(enumerate(pairs(given.cases, taken)))[done:]:
            made = [one_case(ours, theirs, way, bench) for way in given.ways]
            rows.append([draw(one, given.size) for one in (ours, theirs, wanted_of(ours, theirs, taken))] + made)
            print(f"{place + 1} of {given.cases}", file=sys.stderr)
            if given.state:
                write_state(given.state, place + 1, bench.counts)
    if given.sheet:
        sheet(rows, given.sheet)
    ways = {way: told(bench.counts, way, given.cases) for way in given.ways}
    result = {"pipeline": given.pipeline, "cases": given.cases, "size_px": given.size, "ways": ways}
    _sd15.tell(given.pipeline.replace("faces.", "faces_"), result, given.out)


def write_state(path: Path, done: int, counts: Counter[str]) -> None:
    """Whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({"done": done, "counts": counts}))
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
