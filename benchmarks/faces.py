"""Attribute editing of drawn faces by words, as jobs, against known truth: named attribute changed, others kept.

    python benchmarks/faces.py --cases 200 --state /tmp/faces.json

Every case is a drawn avatar of a seed that no training saw, one change of one attribute, and its instruction in words:
nothing else is told to the job. Ways to edit: the editing model's whole picture (``whole``), the region of the
attribute blended back (``region``), the same with as many tries as the form makes by itself (``tries``), and other
words after inversion (``reword``). Two ways to tell what came out: by the judge, which chose between the tries and so
is flattered by its own word; and by no network: of all drawings that differ from the wanted one in one attribute, which
is nearest to the result? Prints one JSON object. With ``--state`` a run that was stopped goes on.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _sd15
import numpy as np
import torch
from PIL import Image

from extensions.starter.data import HELD_OUT, to_tensor
from extensions.starter.judge import Judge, load_judge
from extensions.starter.world import AVATAR_SPEC, Avatar, Edit, draw, head_name, sample
from extensions.starter.world import edit as edit_of
from webui.engine.local import run_local
from webui.testing import Job, Outcome, Studio, make_studio

ROOT = Path(__file__).resolve().parents[1]
WAYS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "whole": ("diffusion.edit", {}),
    "region": ("faces.attribute", {"consent": True, "tries": 1}),
    "tries": ("faces.attribute", {"consent": True}),
    "reword": ("faces.attribute", {"consent": True, "method": "reword"}),
}
_FIRST = HELD_OUT + 40_000_000
_KEPT_STYLE = frozenset({"style"})
_SIZE_PX = 128
_TOLD_APART = 8
"""Grey levels between drawings of two values, and pixels that differ so, from which on they are two pictures."""


@dataclass
class Tally:
    """What was counted so far; goes into a file and comes back."""

    done: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path | None) -> Tally:
        if path is None or not path.is_file():
            return cls()
        said = json.loads(path.read_text())
        return cls(said["done"], Counter(said["counts"]))

    def write(self, path: Path | None) -> None:
        if path is None:
            return
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"done": self.done, "counts": self.counts}))
        os.replace(temporary, path)


def cases(count: int) -> list[Edit]:
    """Flat avatars of held-out seeds, with one change of one attribute each, in English."""
    found: list[Edit] = []
    seed = _FIRST
    while len(found) < count:
        one = edit_of(sample(seed, "avatar").with_(style="flat"), seed, "en", _KEPT_STYLE)
        if len(one.changed) == 1:
            found.append(one)
        seed += 1
    return found


def judged_values(judge: Judge, picture: Image.Image) -> dict[str, str]:
    """The judge's word, by the world's names."""
    with torch.no_grad():
        told = judge(to_tensor(picture)[None])
    heads = {name: head_name("avatar", name) for name in AVATAR_SPEC}
    return {name: judge.attributes[head][int(told[head].argmax())] for name, head in heads.items() if head in told}


def nearest_values(picture: Image.Image, truth: Avatar) -> dict[str, str]:
    """Attribute -> the value whose drawing is nearest to the picture, all others as in ``truth``; where drawings of
    different values are the same picture, that attribute is left out.
    """
    pixels = np.asarray(picture, np.float32)
    told = {}
    for name, values in AVATAR_SPEC.items():
        if name == "style" or truth.labels()[name] < 0:
            continue
        drawn = np.stack([np.asarray(draw(truth.with_(**{name: value}), _SIZE_PX), np.float32) for value in values])
        differs = (drawn.max(0) - drawn.min(0)).max(2) > _TOLD_APART
        if differs.sum() < _TOLD_APART:
            continue
        away = np.square(drawn[:, differs] - pixels[differs]).mean((1, 2))
        told[name] = values[int(away.argmin())]
    return told


def count(counts: Counter[str], way: str, told: Mapping[str, str], one: Edit, by: str) -> None:
    """Count one result: the changed attribute, and those that should have stayed and are in sight."""
    before, after = one.before.labels(), one.after.labels()
    for name, value in told.items():
        right = value == getattr(one.after, name)
        if name in one.changed:
            keys = [f"{way}/{by}/changed", f"{way}/{by}/changed {name}"]
        elif before[name] == after[name] and after[name] >= 0:
            keys = [f"{way}/{by}/kept"]
        else:
            continue
        for key in keys:
            counts[key + "/all"] += 1
            counts[key + "/right"] += right


class Jobs:
    """Jobs one after another in this process, with one cache of models."""

    def __init__(self, studio: Studio) -> None:
        self.studio, self.runner = studio, studio.runner()

    def run(self, pipeline: str, params: Mapping[str, Any]) -> tuple[Image.Image | None, dict[str, Any]]:
        """The first picture of a job and its numbers; None and nothing where it failed."""
        job = Job(pipeline=pipeline, params=self.studio.freeze(self.studio.host.pipelines[pipeline], params))
        outcome = Outcome(job, self.studio)
        run_local(self.runner, job, outcome.take, threading.Event())
        if outcome.state != "done":
            print(outcome.error, file=sys.stderr)
            return None, {}
        measured = [
            path for record, path in zip(outcome.records, outcome.paths, strict=True) if record.kind == "scalar"
        ]
        return outcome.images[0].convert("RGB"), json.loads(measured[0].read_text()) if measured else {}


def one_case(one: Edit, seed: int, ways: Sequence[str], jobs: Jobs, judge: Judge, counts: Counter[str]) -> None:
    """Count one case in every way. A job that fails leaves the picture as it was."""
    picture = draw(one.before, _SIZE_PX)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    image = "data:;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
    for way in ways:
        pipeline, more = WAYS[way]
        began = time.perf_counter()
        made, numbers = jobs.run(pipeline, {"image": image, "prompt": one.instruction, "seed": seed, **more})
        counts[f"{way}/seconds"] += round(time.perf_counter() - began, 3)  # type: ignore[assignment]
        counts[f"{way}/failed"] += made is None
        counts[f"{way}/made"] += len(numbers.get("candidates", [0]))
        counts[f"{way}/outside"] += numbers.get("changed_outside_of_the_mask", 0)
        counts[f"{way}/likeness"] += numbers.get("likeness", 0.0)
        shown = made or picture
        count(counts, way, judged_values(judge, shown), one, "judge")
        count(counts, way, nearest_values(shown, one.after), one, "drawing")


def told(counts: Counter[str], way: str, cases: int) -> dict[str, Any]:
    """The numbers of one way."""

    def share(key: str) -> float:
        return round(counts[f"{way}/{key}/right"] / max(1, counts[f"{way}/{key}/all"]), 4)

    names = [name for name in AVATAR_SPEC if counts[f"{way}/judge/changed {name}/all"]]
    row: dict[str, Any] = {
        f"{kind}_by_{by}": share(f"{by}/{kind}") for by in ("judge", "drawing") for kind in ("changed", "kept")
    }
    row["changed_by_attribute"] = {
        name: f"{counts[f'{way}/judge/changed {name}/right']} of {counts[f'{way}/judge/changed {name}/all']}"
        for name in names
    }
    row["jobs_that_failed"] = counts[f"{way}/failed"]
    row["candidates_a_case"] = round(counts[f"{way}/made"] / cases, 3)
    row["seconds_a_case"] = round(counts[f"{way}/seconds"] / cases, 3)
    if WAYS[way][0] == "faces.attribute":
        row["pixels_changed_outside_of_the_mask"] = counts[f"{way}/outside"]
        row["mean_likeness"] = round(counts[f"{way}/likeness"] / cases, 4)
    return row


def main() -> None:
    """Run and print."""
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=["whole", "region", "tries"])
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--state", type=Path, help="A file of what was counted so far; a run goes on from it")
    given = parser.parse_args()
    judge = load_judge(given.models / "starter" / "judge")
    tally = Tally.read(given.state)
    found = cases(given.cases)
    with tempfile.TemporaryDirectory() as data:
        jobs = Jobs(make_studio(Path(data), models_dirs=[given.models], offline=True))
        for place in range(tally.done, len(found)):
            one_case(found[place], 100 * place, given.ways, jobs, judge, tally.counts)
            tally.done = place + 1
            tally.write(given.state)
            print(f"{place + 1} of {len(found)}", file=sys.stderr)
    result = {"cases": len(found), "ways": {way: told(tally.counts, way, len(found)) for way in given.ways}}
    _sd15.tell("faces", result, given.out)


if __name__ == "__main__":
    main()
