"""Attribute editing of drawn faces against known truth: named attribute changed, others kept, by two ways to tell.

    python benchmarks/faces.py --cases 200 --candidates 4

Every case is a drawn avatar, one change of one attribute, and its instruction. Four ways to edit are told apart: the
editing model's whole picture, only the region of the attribute blended back, each of one candidate and of the judge's
best of several. The judge chose, so the judge's own word flatters that choice; the second way to tell asks no
network: of all drawings that differ from the wanted one in one attribute, which is nearest to the result?
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from extensions.faces.finding.drawn import find_drawn  # noqa: E402
from extensions.faces.judging.judge import Read, Wanted, score  # noqa: E402
from extensions.faces.networks.drawn import load_drawn  # noqa: E402
from extensions.faces.params_editing import AttributeParams  # noqa: E402
from extensions.faces.pipelines.edit import Place, blended_in, place_of, region_of  # noqa: E402
from extensions.starter.data import HELD_OUT, to_tensor  # noqa: E402
from extensions.starter.edit import edited, load_editor  # noqa: E402
from extensions.starter.judge import Judge, load_judge  # noqa: E402
from extensions.starter.world import AVATAR_SPEC, Avatar, Edit, draw, head_name, sample  # noqa: E402
from extensions.starter.world import edit as edit_of  # noqa: E402

_FIRST = HELD_OUT + 40_000_000
_KEPT_STYLE = frozenset({"style"})


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


def reads(judge: Judge, pictures: Sequence[Image.Image]) -> list[Read]:
    """What the judge reads in each picture."""
    with torch.no_grad():
        images = torch.stack([to_tensor(picture) for picture in pictures])
        features = judge.features(images)
        logits = {head: row.log_softmax(1) for head, row in judge.told(features).items()}
    return [Read(features[i], {h: v[i] for h, v in logits.items()}) for i in range(len(pictures))]


def nearest_values(picture: Image.Image, truth: Avatar, size: int) -> dict[str, str]:
    """Attribute -> the value whose drawing is nearest to the picture, all others as in ``truth``; where drawings of
    different values are the same picture, that attribute is left out.
    """
    pixels = np.asarray(picture, np.float32)
    told = {}
    for name, values in AVATAR_SPEC.items():
        if name == "style" or truth.labels()[name] < 0:
            continue
        drawn = np.stack([np.asarray(draw(truth.with_(**{name: value}), size), np.float32) for value in values])
        differs = (drawn.max(0) - drawn.min(0)).max(2) > 8
        if differs.sum() < 8:
            continue
        away = np.square(drawn[:, differs] - pixels[differs]).mean((1, 2))
        told[name] = values[int(away.argmin())]
    return told


def tally(counts: Counter[str], way: str, told: dict[str, str], one: Edit, by: str) -> None:
    """Count one result: the changed attribute, and those that should have stayed and are in sight."""
    before, after = one.before.labels(), one.after.labels()
    for name, value in told.items():
        wanted = getattr(one.after, name)
        kind = "changed" if name in one.changed else "kept"
        if kind == "kept" and (before[name] != after[name] or after[name] < 0):
            continue
        counts[f"{way} {kind} {by} all"] += 1
        counts[f"{way} {kind} {by} right"] += value == wanted


def judged_values(judge: Judge, read: Read) -> dict[str, str]:
    """The judge's word, by the world's names."""
    return {
        name: judge.attributes[head][int(read.heads[head].argmax())]
        for name in AVATAR_SPEC
        if (head := head_name("avatar", name)) in judge.attributes
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--models", type=Path, default=ROOT / "models" / "starter")
    parser.add_argument("--faces", type=Path, help="The folder of the network of faces; empty: of the models")
    parser.add_argument("--state", type=Path, help="A file of what was counted so far; a run goes on from it")
    options = parser.parse_args()
    from safetensors.torch import load_file

    folder = options.faces or options.models / "faces"
    network = load_drawn(folder / "config.json", load_file(folder / "model.safetensors"))
    judge, editor = load_judge(options.models / "judge"), load_editor(options.models / "edit")
    said = json.loads((options.models / "edit" / "lifelike.json").read_text(encoding="utf-8"))["recommended"]
    size = int(said["width"])
    found = cases(options.cases)
    kept = json.loads(options.state.read_text()) if options.state and options.state.is_file() else {}
    counts: Counter[str] = Counter(kept.get("counts", {}))
    places = int(kept.get("places", 0))
    for start in range(int(kept.get("done", 0)), len(found), 4):
        batch = found[start : start + 4]
        repeated = [one for one in batch for _ in range(options.candidates)]
        made = edited(
            editor,
            repeated,
            [start * options.candidates + i for i in range(len(repeated))],
            size=size,
            steps=options.steps,
            guidance=said["guidance_scale"],
            image_guidance=said["image_guidance_scale"],
        )
        for place, one in enumerate(batch):
            several = made[place * options.candidates : (place + 1) * options.candidates]
            places += _one_case(one, several, network, judge, size, counts)
        if options.state:
            so_far = {"done": start + len(batch), "places": places, "counts": counts}
            temporary = options.state.with_suffix(".tmp")
            temporary.write_text(json.dumps(so_far))
            os.replace(temporary, options.state)
        print(f"{start + len(batch)} of {len(found)}", file=sys.stderr)
    shares = {
        key.removesuffix(" all"): round(counts[key.replace(" all", " right")] / value, 4)
        for key, value in sorted(counts.items())
        if key.endswith(" all")
    }
    told = {"cases": len(found), "faces_found": places, "candidates": options.candidates, "steps": options.steps}
    print(json.dumps({**told, **shares}, indent=2))


def _one_case(
    one: Edit, made: Sequence[Image.Image], network: torch.nn.Module, judge: Judge, size: int, counts: Counter[str]
) -> int:
    """Count one case; 1 where the network found its face."""
    picture = draw(one.before, size)
    (changed,) = one.changed
    value = str(getattr(one.after, changed))
    head = head_name("avatar", changed)
    params = AttributeParams(image="", attribute=f"{head}={value}", consent=True)
    with torch.no_grad():
        faces = find_drawn(network, picture, torch.device("cpu"))  # type: ignore[arg-type]
    place: Place | None = None
    if faces:
        place = place_of(faces[0], picture.size, params, region_of("auto", params.attribute))
    masked = [picture if place is None else blended_in(picture, m, place, params) for m in made]
    every = reads(judge, [picture, *made, *masked])
    before, whole_reads, masked_reads = every[0], every[1 : 1 + len(made)], every[1 + len(made) :]
    index = judge.attributes[head].index(value) if head in judge.attributes else -1
    for name, pictures, told in (("whole", made, whole_reads), ("region", masked, masked_reads)):
        chosen = {"1": 0}
        if index >= 0 and value in judge.attributes[head]:
            marks = [score(before, read, Wanted(head, value, index)) for read in told]
            chosen[f"best of {len(made)}"] = max(range(len(marks)), key=marks.__getitem__)
        for label, which in chosen.items():
            way = f"{name}, {label}:"
            tally(counts, way, judged_values(judge, told[which]), one, "by judge")
            tally(counts, way, nearest_values(pictures[which], one.after, size), one, "by drawing")
    return int(bool(faces))


if __name__ == "__main__":
    main()
