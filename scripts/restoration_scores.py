"""What the restoration's networks and filters are good for, on held-out drawings made bad by seeds -> JSON.

python scripts/restoration_scores.py [--weights models/starter/restoration] [--count 32] [--card FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from extensions.restoration.classical import cleaning, mending
from extensions.restoration.networks import own
from extensions.restoration.networks.deblurring import deblurred
from extensions.restoration.networks.unet import TASKS, SmallUNet
from extensions.restoration.pictures.arrays import Pixels, psnr_db, to_picture, to_pixels
from extensions.restoration.pictures.colour import colour_distance, from_lab, to_lab
from extensions.restoration.pictures.degrading import Damage, degrade
from extensions.starter.world import draw, sample

HELD_OUT = 1_000_000_000
SIZE = 128
DAMAGES = {
    "noise": Damage(noise=0.5),
    "JPEG": Damage(jpeg=0.8),
    "blur": Damage(blur=0.5),
    "noise and JPEG": Damage(noise=0.5, jpeg=0.5),
    "noise, JPEG and blur": Damage(noise=0.4, jpeg=0.4, blur=0.3),
}

_CARD = """---
license: apache-2.0
---

# The starter's restoration networks

Three small U-Nets in half precision (`extensions/restoration/networks/unet.py`) for the tab Restoration: noise and
JPEG marks with a strength for each; colours from lightness and painted hints; where a picture is scratched. They
know the project's own drawings: for photographs take networks that were trained on photographs.

{files}

## Recipe

`restoration.train` on 2,000 drawings of 128 pixels from seed 0, damaged anew at every step by
`extensions/restoration/pictures/degrading.py`; AdamW, an average of the weights, one core, each from weights of its
kind that had been trained for a minute. The restorer took 6,000 steps with blur among its damages, then, that input
taken out, 10,000 at a rate of 0.0025 with blur left as it is (4 crops of 64); scratches took 2,000 (4 crops of 64),
colours 6,000 (2 crops of 96) at 0.002. Blur is undone by a deconvolution whose prior the restorer is. No photographs,
no data of others.

## Measured

`python scripts/restoration_scores.py`, {count} held-out drawings of {size} pixels. PSNR in dB:

| damage | damaged | network | classical filters |
| --- | --- | --- | --- |
{rows}

On average over these five the network gains {gain:.2f} dB; over these and the scratches {all_gain:.2f}.

Scratches (strength 0.6): {exact[degraded_db]:.2f} dB damaged. Filled by Telea: {network[filled_db]:.2f} dB where the
network finds them (F1 {network[f1]:.2f}), {lines[filled_db]:.2f} dB where thin lines are looked for
(F1 {lines[f1]:.2f}), {exact[filled_db]:.2f} dB under the exact mask.

Colours, mean CIE76 distance to the drawing: {colour[grey]:.2f} grey, {colour[colourized]:.2f} colourized,
{colour[with_hints]:.2f} with nine hints.

## Licence

Apache 2.0, as the project.
"""


def silent(done: int, total: int) -> None:
    """Nobody watches."""


def network(folder: Path, task: str) -> SmallUNet:
    made = SmallUNet(TASKS[task])
    made.load_state_dict({name: value.float() for name, value in load_file(folder / f"{task}.safetensors").items()})
    return made.eval().requires_grad_(False)


def mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 2)


def cleaned(folder: Path, pictures: list[Pixels]) -> dict[str, dict[str, float]]:
    """PSNR in dB of the damaged pictures, rounded to 8 bits as files are, of what the network makes of them and of
    what classical filters do, in the form's own order.
    """
    restorer, told = network(folder, "restorer"), {}
    for name, damage in DAMAGES.items():
        rows = []
        for seed, picture in enumerate(pictures):
            bad = to_pixels(to_picture(degrade(picture, damage, seed)[0]))
            noisy = bool(damage.noise or damage.jpeg)
            by_filters = cleaning.deblocked(cleaning.denoised(bad, damage.noise), damage.jpeg)
            by_filters = cleaning.sharpened(by_filters, damage.blur, cleaned=noisy)
            made = bad
            if noisy:
                made = own.restored(restorer, bad, (damage.noise, damage.jpeg), 0, silent)
            made = deblurred(restorer, made, damage.blur, cleaned=noisy, tile=0, progress=silent)
            rows.append([psnr_db(one, picture) for one in (bad, made, by_filters)])
        degraded, by_network, classical = (mean([row[place] for row in rows]) for place in range(3))
        told[name] = {
            "degraded_db": degraded,
            "network_db": by_network,
            "classical_db": classical,
            "gain_db": round(by_network - degraded, 2),
        }
    return told


def mended(folder: Path, pictures: list[Pixels]) -> dict[str, dict[str, float]]:
    """PSNR in dB with scratches, filled by Telea where each finder sees them; and how well it sees (F1)."""
    finder = network(folder, "scratches")
    ways: dict[str, Callable[[Pixels], Pixels]] = {
        "network": lambda bad: own.scratch_mask(finder, bad, 0.5, 0, silent),
        "lines": lambda bad: mending.thin_lines(bad, 0.5),
    }
    told: dict[str, dict[str, float]] = {}
    damaged = [degrade(picture, Damage(scratches=0.6), seed) for seed, picture in enumerate(pictures)]
    pairs = list(zip(damaged, pictures, strict=True))
    told["exact mask"] = {
        "degraded_db": mean([psnr_db(bad, picture) for (bad, _), picture in pairs]),
        "filled_db": mean([psnr_db(mending.filled(bad, where), picture) for (bad, where), picture in pairs]),
    }
    for name, find in ways.items():
        scores, f1 = [], []
        for (bad, where), picture in pairs:
            found = find(bad)
            scores.append(psnr_db(mending.filled(bad, mending.grown(found, 1)), picture))
            f1.append(2 * float((found & where).sum()) / max(1.0, float(found.sum() + where.sum())))
        told[name] = {"filled_db": mean(scores), "f1": mean(f1)}
    return told


def coloured(folder: Path, pictures: list[Pixels]) -> dict[str, float]:
    """Mean CIE76 distance to the drawing: of its grey copy, of the colourized one, and with nine exact hints."""
    colourizer = network(folder, "colourizer")
    grey_, plain, hinted = [], [], []
    for seed, picture in enumerate(pictures):
        lab = to_lab(picture)
        lab[..., 1:] = 0
        grey = from_lab(lab)
        hints = grey.copy()
        random = np.random.default_rng(seed)
        for y, x in random.integers(4, SIZE - 4, (9, 2)):
            hints[y - 3 : y + 4, x - 3 : x + 4] = picture[y - 3 : y + 4, x - 3 : x + 4]
        grey_.append(colour_distance(grey, picture))
        plain.append(colour_distance(own.colourized(colourizer, grey, 1.0, None, silent), picture))
        hinted.append(colour_distance(own.colourized(colourizer, grey, 1.0, hints, silent), picture))
    return {"grey": mean(grey_), "colourized": mean(plain), "with_hints": mean(hinted)}


def scores(folder: Path, count: int) -> dict[str, object]:
    pictures = [to_pixels(draw(sample(HELD_OUT + number), SIZE)) for number in range(count)]
    return {
        "pictures": count,
        "size": SIZE,
        "parameters": {task: sum(p.numel() for p in SmallUNet(TASKS[task]).parameters()) for task in TASKS},
        "sha256": {task: hashlib.sha256((folder / f"{task}.safetensors").read_bytes()).hexdigest() for task in TASKS},
        "cleaning": cleaned(folder, pictures),
        "scratches": mended(folder, pictures),
        "colour_distance_cie76": coloured(folder, pictures),
    }


def card(told: dict[str, object]) -> str:
    """The model card, whose every number was measured."""
    cleaning_, scratches, colour = told["cleaning"], told["scratches"], told["colour_distance_cie76"]
    assert isinstance(cleaning_, dict)
    assert isinstance(scratches, dict)
    assert isinstance(colour, dict)
    rows = "\n".join(
        f"| {name} | {row['degraded_db']:.2f} | {row['network_db']:.2f} | {row['classical_db']:.2f} |"
        for name, row in cleaning_.items()
    )
    sizes = told["parameters"]
    hashes = told["sha256"]
    assert isinstance(sizes, dict)
    assert isinstance(hashes, dict)
    files = "\n".join(f"- `{task}.safetensors`: {sizes[task]:,} parameters, SHA-256 `{hashes[task]}`" for task in sizes)
    exact, by_network, by_lines = (scratches[name] for name in ("exact mask", "network", "lines"))
    gains = [row["gain_db"] for row in cleaning_.values()]
    mended_by = by_network["filled_db"] - exact["degraded_db"]
    return _CARD.format(
        files=files,
        rows=rows,
        gain=mean(gains),
        all_gain=mean([*gains, mended_by]),
        count=told["pictures"],
        size=told["size"],
        exact=exact,
        network=by_network,
        lines=by_lines,
        colour=colour,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    root = Path(__file__).resolve().parents[1]
    parser.add_argument("--weights", type=Path, default=root / "models" / "starter" / "restoration")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--card", type=Path, help="Write the model card here too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told = scores(options.weights, options.count)
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    if options.card is not None:
        temporary = options.card.with_name(f"{options.card.name}.tmp{os.getpid()}")
        temporary.write_text(card(told), encoding="utf-8")
        os.replace(temporary, options.card)


if __name__ == "__main__":
    main()
