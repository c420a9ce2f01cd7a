"""The bundled generators: trains them by gan.train, puts them into models/starter/gan, measures them -> JSON and card.

python -m scripts.gan_starters train --work DIR [--only avatars ...] [--share 1.0]
python -m scripts.gan_starters bundle --work DIR
python -m scripts.gan_starters measure --work DIR [--only avatars ...] [--samples 2000] [--card]

``train`` goes on with what it was stopped in. ``--share`` scales the numbers of steps, for a look.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.gan.formats.loading import load
from extensions.gan.latents.directions import boundary
from extensions.gan.latents.generator import Generator, Held, to_uint8
from extensions.gan.recipe import presets
from extensions.starter.config import BUNDLED
from extensions.starter.export import load_pipeline
from extensions.starter.export import sample as diffuse
from extensions.starter.judge import Judge, load_judge
from extensions.starter.scope import scope_of
from extensions.starter.world import draw, sample
from webui.core.jobs import Job
from webui.testing import Outcome, make_studio, run_pipeline

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 3_000_000_000
DRAWN = {"domain": "avatar", "style": "flat", "samples": 20_000, "seed": 1}
STARTERS: Mapping[str, dict[str, Any]] = {
    "avatars": {
        "preset": "stylegan2-64",
        "steps": 15_400,
        "rate": 0.006,
        "gamma": 0.2,
        "aide": "starter.judge",
        "recipe": json.dumps(
            {
                "network": {"channel_max": 96},
                "noise": False,
                "betas": [0.8, 0.99],
                "anchor": 10,
                "adversarial_from": 0.78,
                "aide_weight": 0.25,
            }
        ),
    },
    "avatars_dcgan": {"preset": "dcgan-64", "steps": 8_000, "aide": "starter.judge"},
    "avatars_biggan": {
        "preset": "biggan-64",
        "steps": 4_000,
        "label": "attributes.hair_colour",
        "aide": "starter.judge",
    },
    "avatars_vae": {"preset": "vae-64", "steps": 6_000},
    "avatars_vqgan": {"preset": "vqgan-64", "steps": 9_000},
}
"""Names sort so that the first is the one that forms offer."""
ATTRIBUTES = {
    "smile": ("avatar.mood", ("smiling", "laughing")),
    "glasses": ("avatar.eyewear", ("glasses", "sunglasses")),
    "dark hair": ("avatar.hair_colour", ("black", "brown")),
}
DIFFUSION = "avatar"
_HISTORY = (
    "The weights of `avatars` are those of step 12,519 of 15,400, the best by that distance: 192,192 pictures without",
    "discriminator, 8,112 with it. In those it still moved the mapping network, which it no longer does,",
    "so that the command above gives other weights.",
)
"""What numbers do not tell of the bundled files; to be taken out when they are trained anew."""
BUDGET_BYTES = 5 * 2**20


def train(work: Path, names: list[str], share: float, measured: int) -> dict[str, Any]:
    """One job each. A job that was stopped goes on."""
    told = {}
    for name in names:
        studio = make_studio(work / "data", models_dirs=[work / "models", ROOT / "models"])
        if (work / "models" / "gan" / f"{name}.safetensors").is_file():
            continue
        (work / "models" / "gan").mkdir(parents=True, exist_ok=True)
        wanted = {**DRAWN, **STARTERS[name], "name": name, "sheets": 16, "measured": measured, "save_every": 250}
        wanted["steps"] = max(1, round(wanted["steps"] * share))
        kept = work / f"{name}.job.json"
        job = Job.model_validate_json(kept.read_text(encoding="utf-8")) if kept.is_file() else None
        if job is None:
            job = Job(pipeline="gan.train", params=studio.freeze(studio.host.pipelines["gan.train"], wanted))
            kept.write_text(job.model_dump_json(), encoding="utf-8")
        outcome = run_pipeline("gan.train", {}, work, studio=studio, job=job)
        if outcome.state != "done":
            raise SystemExit(f"{name}: {outcome.state}. {outcome.error}")
        told[name] = _rows(outcome)
    return told


def bundle(work: Path, names: list[str]) -> dict[str, Any]:
    """Copies what was trained, within the budget."""
    target = BUNDLED / "gan"
    target.mkdir(exist_ok=True)
    sizes = {}
    for name in names:
        source = work / "models" / "gan" / f"{name}.safetensors"
        if not source.is_file():
            continue
        temporary = target / f".{name}.{os.getpid()}.tmp"
        shutil.copyfile(source, temporary)
        os.replace(temporary, target / source.name)
        sizes[name] = source.stat().st_size
    if sum(path.stat().st_size for path in target.glob("*.safetensors")) > BUDGET_BYTES:
        raise SystemExit(f"the bundled generators have more than {BUDGET_BYTES} bytes: {sizes}")
    return sizes


def measure(work: Path, names: list[str], samples: int, steps: int, diffusion: bool) -> dict[str, Any]:
    """What can be said of each of those that are bundled, and the distances of the text-to-image starter."""
    studio = make_studio(work / "measuring", models_dirs=[ROOT / "models"])
    real = _held_out(work, samples)

    def run(wanted: str, **params: Any) -> Outcome:
        outcome = run_pipeline(wanted, params, work, studio=studio)
        if outcome.state != "done":
            raise SystemExit(f"{wanted}: {outcome.state}. {outcome.error}")
        return outcome

    scored = {"samples": samples, "network": "starter.judge", "scores": ("fd", "kd", "inception_score")}
    told: dict[str, Any] = {"samples": samples}
    if diffusion:
        compared = run("metrics.compare", real=str(real), generated=str(_diffused(work, samples)), **scored)
        size = sum(file.stat().st_size for file in (BUNDLED / DIFFUSION).rglob("*.safetensors"))
        told[DIFFUSION] = {"bytes": size, "scores": _data(compared, "scalar")["scores"]}
    for name in names:
        path = BUNDLED / "gan" / f"{name}.safetensors"
        if not path.is_file():
            continue
        ref = f"starter/gan/{path.name}"
        codes = "vq" in STARTERS[name]["preset"]
        own = {"model": ref, "seed": 5, **({"top_k": 0} if codes else {"truncation": 1.0})}
        scores = run(
            "metrics.compare",
            real=str(real),
            pipeline="gan.complete" if codes else "gan.sample",
            params=own,
            **scored,
        )
        told[name] = {"bytes": path.stat().st_size, "scores": _data(scores, "scalar")["scores"]}
        if STARTERS[name]["preset"].startswith("stylegan2"):
            generator, judge = _opened(studio, path), load_judge(BUNDLED / "judge")
            told[name]["path_length"] = {}
            for space in ("w", "z"):
                walked = run("metrics.ppl", space="gan.latent", model=ref, walk=space, samples=samples)
                told[name]["path_length"] |= _data(walked, "scalar")["scores"]
            told[name]["projection"] = _projection(run, work, ref, steps)
            told[name]["directions"] = {
                title: direction(generator, judge, head, values) for title, (head, values) in ATTRIBUTES.items()
            }
    return told


def _held_out(work: Path, count: int) -> Path:
    """Flat avatars that no run saw."""
    folder = work / "real"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(HELD_OUT, HELD_OUT + count):
        path = folder / f"{seed}.png"
        if not path.is_file():
            draw(sample(seed, "avatar").with_(style="flat"), 128).reduce(2).save(path)
    return folder


def _diffused(work: Path, count: int) -> Path:
    """The text-to-image starter's pictures of the captions of those drawings, reduced to the generators' size."""
    folder, first = work / "diffused", HELD_OUT
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in range(first, first + count) if not (folder / f"{seed}.png").is_file()]
    if not missing:
        return folder
    scope, pipeline = scope_of(BUNDLED / DIFFUSION), load_pipeline(BUNDLED / DIFFUSION)
    for start in range(0, len(missing), 8):
        seeds = missing[start : start + 8]
        captions = [scope.caption(sample(seed, "avatar").with_(style="flat"), seed).text for seed in seeds]
        for seed, image in zip(seeds, diffuse(pipeline, captions, seeds), strict=True):
            image.reduce(image.width // 64).save(folder / f"{seed}.png")
    return folder


def _projection(run: Callable[..., Outcome], work: Path, ref: str, steps: int) -> dict[str, float]:
    picture = work / "held-out.png"
    draw(sample(HELD_OUT - 1, "avatar").with_(style="flat"), 128).save(picture)
    found = run("gan.project", image=str(picture), model=ref, steps=steps, pixels=0.0, seed=1)
    distances = [float(one.message.rpartition(" ")[2]) for one in found.progress if one.message.startswith("distance ")]
    return {"start": distances[0], "end": distances[-1], "share": round(distances[-1] / distances[0], 4)}


@torch.no_grad()
def direction(
    generator: Generator, judge: Judge, head: str, values: tuple[str, ...], points: int = 2000, shown: int = 200
) -> dict[str, Any]:
    """InterFaceGAN: the boundary of an attribute; then pictures without it, moved along the normal: how many have it,
    and how many of their other attributes stayed, at the least step that changes four fifths (else at the largest).
    """
    ws = generator.points(generator.z(range(points)), None)
    had = torch.cat([_has(judge, generator.pictures(part), head, values) for part in ws.split(64)])
    if had.all() or not had.any():
        return {"share": float(had.float().mean()), "found": False}
    normal, accuracy = boundary(ws[:, 0], had)
    spread = float((ws[:, 0] - ws[:, 0].mean(0)).square().sum(1).mean().sqrt())
    start = generator.points(generator.z(range(10_000, 10_000 + 4 * shown)), None, 0.7)
    without = torch.cat([~_has(judge, generator.pictures(part), head, values) for part in start.split(64)])
    start = start[without][:shown]
    before = _told(judge, torch.cat([generator.pictures(part) for part in start.split(64)]))
    rows = []
    for step in (0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0):
        moved = start + step * spread * normal.to(start)
        after = _told(judge, torch.cat([generator.pictures(part) for part in moved.split(64)]))
        index = [judge.attributes[head].index(value) for value in values]
        changed = torch.isin(after[head], torch.tensor(index)).float().mean()
        others = [n for n in after if n.startswith("avatar.") and n != head]
        kept = torch.stack([(after[n] == before[n]).float().mean() for n in others]).mean()
        rows.append({"step": step, "changed": round(float(changed), 4), "kept": round(float(kept), 4)})
    chosen = next((row for row in rows if row["changed"] >= 0.8), rows[-1])
    return {"found": True, "share": float(had.float().mean()), "accuracy": accuracy, **chosen, "steps": rows}


def _told(judge: Judge, images: torch.Tensor) -> dict[str, torch.Tensor]:
    pixels = to_uint8(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    return {name: logits.argmax(1) for name, logits in judge(pixels).items()}


def _has(judge: Judge, images: torch.Tensor, head: str, values: tuple[str, ...]) -> torch.Tensor:
    index = torch.tensor([judge.attributes[head].index(value) for value in values])
    return torch.isin(_told(judge, images)[head], index)


def _opened(studio: Any, path: Path) -> Generator:
    from webui.engine.weights import open_weights

    class Files:
        @staticmethod
        def open_weights(path: Path, prefixes: Any = ("",)) -> dict[str, Any]:
            return open_weights(path, prefixes)

        @staticmethod
        def values(path: Path, prefix: str = "") -> Mapping[str, Any]:
            return {}

    return Generator(Held(load(Files(), path, "")))


def _rows(outcome: Outcome) -> list[dict[str, str]]:
    """The table of a run."""
    record = next(one for one in outcome.records if one.kind == "table")
    with outcome.studio.files.path_of(record).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _data(outcome: Outcome, kind: str) -> Any:
    record = next(one for one in outcome.records if one.kind == kind)
    return json.loads(outcome.studio.files.path_of(record).read_text(encoding="utf-8"))


def sheet(names: list[str], target: Path) -> None:
    """Sixteen pictures of each generator that is bundled, for a look."""
    from extensions.gan.tasks.run import sheet_of

    rows = []
    for name in names:
        path = BUNDLED / "gan" / f"{name}.safetensors"
        if path.is_file() and "vq" not in STARTERS[name]["preset"]:
            generator = _opened(None, path)
            seeds = range(16)
            condition = generator.condition([None] * 16, seeds)
            with torch.no_grad():
                points = generator.points(generator.z(seeds), condition, 0.7)
                rows.append(sheet_of(generator.pictures(points, condition)))
    if rows:
        Image.fromarray(np.concatenate([np.asarray(one) for one in rows], 1)).save(target)


def card(told: Mapping[str, Any]) -> str:
    """Of models/starter/gan, from what was measured alone."""
    lines = ["---", "license: apache-2.0", "---", "", "# The starter's generators", ""]
    lines.append("Flat avatars of the drawing world at 64 pixels, trained by `python -m scripts.gan_starters train`.")
    lines += ["", "| model | preset | KiB | FD-starter | KD-starter | IS-starter |", "| --- " * 6 + "|"]
    for name, numbers in told.items():
        if name == "samples":
            continue
        by_key = {row["key"]: row for row in numbers["scores"].values()}
        values = [_shown(by_key.get(key)) for key in ("fd", "kd", "inception_score")]
        preset = presets()[STARTERS[name]["preset"]].title if name in STARTERS else "diffusion, 128 px, reduced"
        lines.append(f"| `{name}` | {preset} | {numbers['bytes'] // 1024} | {' | '.join(values)} |")
    lines += ["", f"{told['samples']:,} pictures, not truncated, against as many held-out drawings."]
    aided = ", ".join(f"`{name}`" for name in told if "aide" in STARTERS.get(name, {}))
    if aided:
        lines.append(f"The network of these distances helped to train {aided}, which it flatters.")
    lines += ["", *_HISTORY]
    for name, numbers in told.items():
        if name != "samples" and "directions" in numbers:
            lines += ["", f"## {name}", "", *_latents(numbers)]
    return "\n".join([*lines, ""])


def _latents(numbers: Mapping[str, Any]) -> list[str]:
    """What the space of a StyleGAN's points was found to be like."""
    lines = [f"- {title}: {row['value']:.1f}" for title, row in numbers["path_length"].items()]
    projection = numbers["projection"]
    lines.append(
        f"- A held-out drawing projected into W+: feature distance {projection['end']:.3g}, "
        f"from {projection['start']:.3g} at the mean of w ({projection['share']:.1%})"
    )
    lines += [
        "",
        "InterFaceGAN's directions, told by the judge: pictures without the attribute, moved along the normal. Steps",
    ]
    lines += ["are in deviations of w.", ""]
    lines += ["| attribute | of the pictures | step | have it then | others kept |", "| --- " * 5 + "|"]
    for title, found in numbers["directions"].items():
        if not found["found"]:
            lines.append(f"| {title} | {found['share']:.1%} | - | - | - |")
        for row in found.get("steps", ()):
            if row["step"] <= 0.5:
                changed, kept = f"{row['changed']:.1%}", f"{row['kept']:.1%}"
                lines.append(f"| {title} | {found['share']:.1%} | {row['step']} | {changed} | {kept} |")
    return lines


def _shown(row: Any) -> str:
    value = row.get("value") if isinstance(row, dict) else row
    return f"{value:.3g}" if isinstance(value, int | float) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("train", "bundle", "measure", "sheet"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", choices=(DIFFUSION, *STARTERS), default=(DIFFUSION, *STARTERS))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--measured", type=int, default=1000, help="pictures of the distance on the way")
    parser.add_argument("--steps", type=int, default=500, help="of the projection")
    parser.add_argument("--card", action="store_true", help="write the card of models/starter/gan too")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    names = [name for name in STARTERS if name in given.only]
    told: dict[str, Any] = {}
    if given.command == "train":
        told = train(given.work, names, given.share, given.measured)
    elif given.command == "bundle":
        told = bundle(given.work, names)
    elif given.command == "sheet":
        sheet(names, given.work / "sheet.png")
    else:
        told = measure(given.work, names, given.samples, given.steps, DIFFUSION in given.only)
        if given.card:
            (BUNDLED / "gan" / "README.md").write_text(card(told), encoding="utf-8")
    sys.stdout.write(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
