"""Writes docs/metrics-starter.md and its plots: the starter's scores by guidance scale and by steps.

    .venv/bin/python scripts/starter_scores.py

Pictures are made of held-out captions, a few of every setting in turn, and kept in the work folder: stopped at any
time it goes on where it was, with ``--tell`` it scores what is there, and with a larger ``--samples`` it makes more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402 - the repository has to be importable first

from extensions.starter.data import HELD_OUT  # noqa: E402
from extensions.starter.drawing import draw_all, picture  # noqa: E402
from extensions.starter.export import load_pipeline, sample  # noqa: E402
from extensions.starter.scope import Scope, scope_of  # noqa: E402
from extensions.sweep.scores.chart import as_svg  # noqa: E402
from extensions.sweep.scores.series import Panel, Scores, against_time, over_axis  # noqa: E402
from webui.api import Number, numbers_of  # noqa: E402
from webui.testing import Studio, make_studio, run_pipeline  # noqa: E402

MODEL = ROOT / "models" / "starter" / "avatar"
CAPTIONS_FROM = HELD_OUT + 500_000
REAL_FROM = HELD_OUT + 600_000
PAGE = ROOT / "docs" / "metrics-starter.md"
PLOTTED = ("accuracy", "fd")
HEAD = """# The starter by guidance scale and by steps

Made by `scripts/starter_scores.py`: {captions} held-out captions of
{scope}, one picture of each at every setting with the same seeds,
{real} drawings that no training saw as the real set. Prompt accuracy is the mean over attributes by
the judge, its interval a bootstrap over pictures. FD-starter and KD-starter are on the judge's 128 features, no FID:
below ten pictures a feature (1,280) FD is too high by about what real against real is, so compare rows with each
other and with that column, not with other numbers. Intervals are at 95%. Seconds are of one processor core, in
batches of 8, as the operating system counts them. SHA-256 of the denoiser begins with `{model}`.

| guidance | steps | accuracy | interval | FD-starter | interval | real against real | KD-starter | interval | seconds |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}
At 20 steps, over the guidance scale:

![Prompt accuracy and FD-starter over the guidance scale](images/starter-guidance.svg)

At guidance 4, over the steps:

![Prompt accuracy and FD-starter over the steps](images/starter-steps.svg)

Quality against cost, with the line of settings that no other beats in both:

![Prompt accuracy and FD-starter against processor seconds](images/starter-time.svg)
"""
GUIDANCE, STEPS = (1.0, 2.0, 4.0, 7.0), (5, 10, 20, 40)
USUAL_GUIDANCE, USUAL_STEPS = 4.0, 20
BATCH = 8
Scored = tuple[list[Number], float]
"""The numbers of a setting, and the seconds of one of its pictures."""


@dataclass(frozen=True)
class Setting:
    """What a set of pictures is made with."""

    guidance: float
    steps: int

    @property
    def name(self) -> str:
        return f"guidance-{self.guidance:g}-steps-{self.steps}"


def settings() -> list[Setting]:
    """The usual one first."""
    usual = Setting(USUAL_GUIDANCE, USUAL_STEPS)
    by_guidance = [Setting(guidance, USUAL_STEPS) for guidance in GUIDANCE]
    by_steps = [Setting(USUAL_GUIDANCE, steps) for steps in STEPS]
    return list(dict.fromkeys([usual, *by_guidance, *by_steps]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--work", type=Path, default=ROOT / "outputs" / "starter_scores", help="where pictures are kept"
    )
    parser.add_argument("--samples", type=int, default=256, help="captions, one picture of each setting")
    parser.add_argument("--real", type=int, default=2560, help="drawings to compare with")
    parser.add_argument("--tell", action="store_true", help="score what is there, make nothing")
    arguments = parser.parse_args()
    scope = scope_of(MODEL)
    if not arguments.tell:
        draw(arguments.work / "real", scope, arguments.real)
        make(arguments.work, scope, arguments.samples)
    tell(arguments.work, scope)


def draw(folder: Path, scope: Scope, count: int) -> None:
    """Drawings of the model's scope, none of which it was trained on."""
    folder.mkdir(parents=True, exist_ok=True)
    there = sum(1 for _ in folder.glob("*.png"))
    for start in range(there, count, 64):
        subjects = scope.subjects(REAL_FROM + start, min(64, count - start))
        for place, pixels in enumerate(draw_all(subjects, 128, picture), start=start):
            _write(Image.fromarray(pixels), folder / f"{place:06}.png")


def make(work: Path, scope: Scope, samples: int) -> None:
    """Picture i of each setting is of caption i with seed i; the settings take turns."""
    pipeline: Any = None
    for start in range(0, samples, BATCH):
        count = min(BATCH, samples - start)
        captions = list(_captions(scope, start, count))
        for setting in settings():
            folder = work / setting.name
            folder.mkdir(parents=True, exist_ok=True)
            if all((folder / f"{place:06}.png").is_file() for place in range(start, start + count)):
                continue
            pipeline = pipeline or load_pipeline(MODEL)
            began = time.process_time()
            seeds = list(range(start, start + count))
            made = sample(pipeline, captions, seeds, steps=setting.steps, guidance=setting.guidance)
            seconds = (time.process_time() - began) / count
            for place, image in enumerate(made, start=start):
                _write(image, folder / f"{place:06}.png")
            rows = [
                {"file_name": f"{place:06}.png", "text": text, "seconds": seconds}
                for place, text in enumerate(captions, start=start)
            ]
            with (folder / "metadata.jsonl").open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        sys.stderr.write(f"{start + count} of {samples} captions\n")


def tell(work: Path, scope: Scope) -> None:
    """Score as many captions as every setting has pictures of, and write the page and its plots."""
    count = min(len(_rows(work / setting.name)) for setting in settings())
    studio = make_studio(work / "studio")
    scored = {setting: _scored(work, setting, count, studio) for setting in settings()}
    by_guidance = [(setting, scored[setting]) for setting in settings() if setting.steps == USUAL_STEPS]
    by_steps = [(setting, scored[setting]) for setting in settings() if setting.guidance == USUAL_GUIDANCE]
    plots = {
        "guidance": [[_panel(by_guidance, key, "Guidance scale", 0) for key in PLOTTED]],
        "steps": [[_panel(by_steps, key, "Steps", 1) for key in PLOTTED]],
        "time": [[_time(scored, key) for key in PLOTTED]],
    }
    for name, sheet in plots.items():
        (PAGE.parent / "images" / f"starter-{name}.svg").write_text(as_svg(sheet), encoding="utf-8")
    rows = [_row(setting, *scored[setting]) for setting in sorted(scored, key=lambda one: (one.steps, one.guidance))]
    told = HEAD.format(
        captions=count,
        real=len(list((work / "real").glob("*.png"))),
        scope=scope.words,
        model=_sha256(),
        rows="".join(rows),
    )
    PAGE.write_text(told, encoding="utf-8")


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Captions and seconds of the pictures of a setting, in their order."""
    path = folder / "metadata.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    known = {row["file_name"]: row for row in map(json.loads, lines)}
    return [known[name] for name in sorted(known)]


def _scored(work: Path, setting: Setting, count: int, studio: Studio) -> Scored:
    """The numbers of a setting's first ``count`` pictures, and the seconds of one."""
    folder = work / f"scored-{count}" / setting.name
    rows = _rows(work / setting.name)[:count]
    if not (folder / "scores.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for row in rows:
            target = folder / row["file_name"]
            if not target.is_file():
                target.hardlink_to(work / setting.name / row["file_name"])
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")
        distances = _numbers(studio, "metrics.compare", real=work / "real", generated=folder, scores=("fd", "kd"))
        judged = _numbers(studio, "metrics.prompt_accuracy", pictures=folder)
        mean = judged["attribute_mean"]
        scores = [asdict(one) for one in numbers_of(distances)]
        bounds = {name: mean[name] for name in ("value", "low", "high")}
        scores.append({"key": "accuracy", "title": "Prompt accuracy", **bounds, "better": "higher"})
        (folder / "scores.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")
    numbers = [Number(**one) for one in json.loads((folder / "scores.json").read_text(encoding="utf-8"))]
    return numbers, statistics.median(row["seconds"] for row in rows)


def _numbers(studio: Studio, pipeline: str, **params: Any) -> dict[str, Any]:
    said = {name: str(value) if isinstance(value, Path) else value for name, value in params.items()}
    outcome = run_pipeline(pipeline, said, studio.settings.data_dir, studio=studio)
    if outcome.state != "done":
        raise SystemExit(f"{pipeline}: {outcome.error}")
    found = next(path for record, path in zip(outcome.records, outcome.paths, strict=True) if record.kind == "scalar")
    numbers: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return numbers


def _cell(setting: Setting, scored: Scored, axis: int) -> Scores:
    x = (setting.guidance, setting.steps)[axis]
    label = f"guidance {setting.guidance:g}, {setting.steps} steps"
    return Scores(x, f"{x:g}", "", label, scored[1], scored[0])


def _panel(rows: Sequence[tuple[Setting, Scored]], key: str, title: str, axis: int) -> Panel:
    panel = over_axis([_cell(setting, scored, axis) for setting, scored in rows], [key], title)
    assert panel is not None
    return panel


def _time(scored: Mapping[Setting, Scored], key: str) -> Panel:
    panel = against_time([_cell(setting, one, 0) for setting, one in scored.items()], [key])
    assert panel is not None
    return replace(panel, x_title="Processor seconds per picture")


def _row(setting: Setting, numbers: Sequence[Number], seconds: float) -> str:
    known = {one.key: one for one in numbers}
    fd, kd, accuracy = known["fd"], known["kd"], known["accuracy"]
    shares = f"{accuracy.value:.1%} | {accuracy.low:.1%} to {accuracy.high:.1%}"
    distance = f"{fd.value:.0f} | {fd.low:.0f} to {fd.high:.0f} | {fd.real_vs_real:.0f}"
    kernel = f"{kd.value:.0f} | {kd.low:.0f} to {kd.high:.0f}"
    return f"| {setting.guidance:g} | {setting.steps} | {shares} | {distance} | {kernel} | {seconds:.2f} |\n"


def _sha256() -> str:
    return hashlib.sha256((MODEL / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()[:16]


def _captions(scope: Scope, start: int, count: int) -> Iterator[str]:
    for place, subject in enumerate(scope.subjects(CAPTIONS_FROM + start, count), start=start):
        yield scope.caption(subject, CAPTIONS_FROM + place).text


def _write(image: Image.Image, path: Path) -> None:
    temporary = path.with_suffix(".part")
    image.save(temporary, "PNG")
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
