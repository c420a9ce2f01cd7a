"""Posed heads of drawn people on a sheet, as jobs: is the pose there, does the person stay, and what is behind them?

    python benchmarks/poses.py --cases 20

Every case is a drawn avatar of a held-out seed and a sheet of all named poses. Told are, by pose: likeness to the
picture before; how many of the attributes that the judge reads there it reads still; how far the network for drawn
faces finds the eyes tilted further (degrees, to the picture's right), and the nose further to the right and further up
between ears and chin (shares of the face's half width and of its height below the ears); and how many of the pixels
changed that neither show the head before, in the drawing's own map of parts, nor lie within a sixteenth of the picture
from it. The mark in the pixels is left out. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import _sd15
import cv2
import numpy as np
from faces import ROOT, Jobs, judged_values
from PIL import Image
from swaps import as_url

from extensions.faces.vocabulary import POSES, REGIONS
from extensions.starter.data import HELD_OUT
from extensions.starter.judge import Judge, load_judge
from extensions.starter.world import Avatar, draw, sample
from extensions.starter.world.parts import PARTS, part_map
from webui.engine.local import run_local
from webui.testing import Job, Outcome, make_studio

_FIRST = HELD_OUT + 70_000_000
_NEVER = frozenset({"style"})


def run(jobs: Jobs, pipeline: str, params: Mapping[str, Any]) -> Outcome:
    """One job to its end. Raises RuntimeError where it failed."""
    studio = jobs.studio
    job = Job(pipeline=pipeline, params=studio.freeze(studio.host.pipelines[pipeline], params))
    outcome = Outcome(job, studio)
    run_local(jobs.runner, job, outcome.take, threading.Event())
    if outcome.state != "done":
        raise RuntimeError(str(outcome.error))
    return outcome


def stance(jobs: Jobs, picture: Image.Image) -> np.ndarray:
    """Tilt in degrees, the nose's place aside and upwards, as the network for drawn faces finds them."""
    told = json.loads(run(jobs, "faces.find", {"image": as_url(picture)}).paths[1].read_text())
    marks = {name: np.array(place) for name, place in told["faces"][0]["landmarks"].items()}
    eyes, ears = (marks[f"right {one}"] - marks[f"left {one}"] for one in ("pupil", "jaw"))
    middle = (marks["left jaw"] + marks["right jaw"]) / 2
    along = ears / np.linalg.norm(ears)
    down = np.array([-along[1], along[0]])
    nose, chin = marks["nose"] - middle, float((marks["chin"] - middle) @ down)
    tilt = float(np.degrees(np.arctan2(eyes[1], eyes[0])))
    return np.array([tilt, 2 * float(nose @ along) / np.linalg.norm(ears), -float(nose @ down) / chin])


def one_case(avatar: Avatar, size: int, jobs: Jobs, judge: Judge, counts: Counter[str]) -> list[Image.Image]:
    """Count one case; the pictures."""
    picture = draw(avatar, size)
    outcome = run(jobs, "faces.sheet", {"image": as_url(picture), "poses": list(POSES), "consent": True})
    rows = {row[0]: row for row in POSES.values()}
    made = {
        record.title: image.convert("RGB")
        for record, image in zip((r for r in outcome.records if r.kind == "image"), outcome.images, strict=True)
        if record.title in rows
    }
    head = np.isin(np.asarray(part_map(avatar, size)), [PARTS.index(name) for name in REGIONS["head"]])
    far = cv2.dilate(head.astype(np.uint8), np.ones((size // 8 + 1,) * 2, np.uint8)) == 0
    before, stood = judged_values(judge, picture.resize((128, 128), Image.Resampling.BOX)), stance(jobs, picture)
    table = run_table(outcome)
    for pose, image in made.items():
        after = judged_values(judge, image.resize((128, 128), Image.Resampling.BOX))
        for name in before.keys() - _NEVER:
            counts[f"{pose}/all"] += 1
            counts[f"{pose}/kept"] += before[name] == after[name]
        for key, value in zip(("tilt", "aside", "up"), stance(jobs, image) - stood, strict=True):
            counts[f"{pose}/{key}"] += value
        counts[f"{pose}/likeness"] += table[pose]  # type: ignore[assignment]
        counts[f"{pose}/far"] += int((np.asarray(image) != np.asarray(picture)).any(2)[far].sum())
    return [picture, *made.values()]


def run_table(outcome: Outcome) -> dict[str, float]:
    """Pose -> the likeness that the sheet's table says."""
    (path,) = (path for record, path in zip(outcome.records, outcome.paths, strict=True) if record.kind == "table")
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    place = lines[0].index("likeness")
    return {line[0]: float(line[place]) for line in lines[1:]}


def main() -> None:
    """Run and print."""
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--sheet", type=Path, help="A picture of all cases")
    given = parser.parse_args()
    counts: Counter[str] = Counter()
    rows = []
    with tempfile.TemporaryDirectory() as data:
        unmarked = {"provenance": {"watermark": False}}
        jobs = Jobs(make_studio(Path(data), models_dirs=[given.models], offline=True, extensions=unmarked))
        judge = load_judge(given.models / "starter" / "judge")
        for case in range(given.cases):
            avatar = sample(_FIRST + case, "avatar").with_(style="flat")
            rows.append(np.hstack([np.asarray(one) for one in one_case(avatar, given.size, jobs, judge, counts)]))
            print(f"{case + 1} of {given.cases}", file=sys.stderr)
    if given.sheet:
        Image.fromarray(np.vstack(rows)).save(given.sheet)
    poses = {
        pose: {
            "asked": {"tilt": tilt, "turn": turn, "raised": raised},
            "kept_by_judge": round(counts[f"{pose}/kept"] / counts[f"{pose}/all"], 4),
            **{key: round(counts[f"{pose}/{key}"] / given.cases, 4) for key in ("likeness", "tilt", "aside", "up")},
            "pixels_changed_away_from_the_head": counts[f"{pose}/far"],
        }
        for pose, tilt, turn, raised in POSES.values()
    }
    _sd15.tell("poses", {"cases": given.cases, "size_px": given.size, "poses": poses}, given.out)


if __name__ == "__main__":
    main()
