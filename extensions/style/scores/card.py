"""After an evaluation: measured numbers -> the model card, so that the card never says what was not measured."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CARD = """---
license: apache-2.0
pipeline_tag: image-to-image
---

# Style transfer of the starter

- `encoder.safetensors`: a network as VGG is built, trained to tell twelve families of textures and five manners of
  drawing apart by the statistics of its last layer, and to keep what gives a picture back.
- `decoder.safetensors`: its mirror image, trained for AdaIN (Huang and Belongie 2017) on it, which sees the two next
  finer scales as well, each with the statistics of the style. float16.

## Data and recipe

Textures and drawings of the project's own code (`extensions/starter/world`); no photographs, no paintings, no data of
others. `python -m extensions.starter.train --folder DIR --stage style_encoder --stage style` with
`extensions/starter/configs/cpu.toml`, on one shared CPU core: 700 steps of the encoder, 150 and
1,600 of the decoder (without the finer scales, then with them; `--start bundled` goes on from what is here).

## Measured

{pictures} held-out drawings of {size} pixels, each in another held-out style (two thirds textures, one third drawings
in another manner). Distances are relative squared errors of activations (content) and of Gram matrices (style): 0 is
the same. The judge, which had no part in the training, measures as well; its content distance is that of unit-length
activations.

| | style | content | style, judge | content, judge |
| --- | --- | --- | --- | --- |
{rows}

Nearer to the style than the colours alone: {nearer:.0%} of the pictures, by the judge {nearer_judge:.0%}. Median time
of a picture: {seconds:g} s with {threads} CPU thread(s).

## Limits

Small networks, trained for minutes: colours, contrast and some of the grain come over, large strokes hardly. For more
of a style use the optimization, best with VGG-19; for colours that stay, keep the picture's, or lower the strength.
"""


def write_card(path: Path, numbers: Mapping[str, Any]) -> None:
    """Write the card by way of a temporary file."""
    rows = []
    for way, words in (("adain", "AdaIN"), ("picture itself", "picture itself"), ("colours alone", "colours alone")):
        told = [numbers.get(f"{by}{way}: {what}") for by in ("", "judge, ") for what in ("style", "content")]
        rows.append(f"| {words} | " + " | ".join("-" if one is None else f"{one:.3f}" for one in told) + " |")
    text = _CARD.format(
        pictures=numbers["pictures"],
        size=numbers["size"],
        rows="\n".join(rows),
        nearer=numbers["nearer to the style than colours alone"],
        nearer_judge=numbers.get("judge, nearer to the style than colours alone", float("nan")),
        seconds=numbers["median seconds"],
        threads=numbers["threads"],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
