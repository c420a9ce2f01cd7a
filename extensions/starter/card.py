"""After evaluation: measured numbers -> the model card, so that the card never says what was not measured."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# The starter model

A small text-to-image model in Stable Diffusion's layout that draws avatars at 128x128. It comes with the
project so that everything works before any download.

- `avatar/`: a diffusers directory (`StableDiffusionPipeline`): CLIPTokenizer with a vocabulary of its own,
  CLIPTextModel ({text_encoder:,} parameters), UNet2DConditionModel ({unet:,}), AutoencoderKL of factor 8 with 4
  latent channels ({vae:,}); v-prediction over scaled_linear betas. float16 safetensors.
- `judge/`: the attribute classifier ({judge:,} parameters) that measures it.

Recommended: {steps} steps, guidance scale {guidance_scale:g}, 128x128.

## Prompts

"a smiling person with long red hair and glasses, blue background". It knows: skin (light, tan, brown, dark),
hair (short, long, curly, bob, pigtails, bald; black, brown, blond, red, grey, blue, pink, green), mood (calm,
smiling, laughing, sad, surprised, angry), eyes (brown, blue, green), glasses and sunglasses, hats (cap, beanie,
top hat, crown), mustache and beard, shirt and background colours. It knows nothing else: other words do little.

## Data

Drawn by the project's own code (`extensions/starter/world`): every attribute is drawn independently and known
exactly, captions are worded by a grammar. No photographs, no real people, no data of others.

## Recipe

`python launch.py run starter.train --folder DIR` (configuration: `extensions/starter/configs/cpu.toml`), on two
CPU cores. Autoencoder on crops, then whole drawings, with extra weight on the face's features; whitening of the
latents folded into quant_conv, so scaling_factor is 1.0; decoder polish. Text encoder on captions and the
attributes they settle, then kept; UNet with more weight on the face and on high noise, 10% caption drop and an
average of the weights.

{trained}

## Measured

Pictures from {samples} held-out captions, {steps} steps, guidance scale {guidance_scale:g}, Euler; an attribute
counts where the caption settles it. The judge is right on {classifier_accuracy:.1%} of the attributes of
held-out drawings.

| attribute | generated | judge on drawings |
| --- | --- | --- |
{rows}
| **mean** | **{attribute_accuracy:.1%}** | **{classifier_accuracy:.1%}** |

- Autoencoder: {psnr_db:.2f} dB PSNR on held-out drawings.
- {seconds_per_image:.2f} s an image alone, {seconds_per_image_in_batches:.2f} s in batches of 8 ({threads} CPU
  threads{load}).

## Licence and limits

Apache 2.0, as the project. Faces are cartoons with a fixed set of attributes; an unusual combination may come
out wrong. Fine detail (eyes behind glasses, teeth) is limited by the 8x autoencoder.
"""


def model_card(numbers: Mapping[str, Any], trained: str = "", load: str = "") -> str:
    """The card's Markdown from the result of `evaluate`; `trained` says how long, `load` what else ran meanwhile."""
    own = numbers["classifier_by_attribute"]
    rows = "\n".join(f"| {n} | {v:.1%} | {own[n]:.1%} |" for n, v in numbers["by_attribute"].items())
    trained = textwrap.fill(trained, 110)
    return _CARD.format(**{**numbers, **numbers["parameters"], "rows": rows, "trained": trained, "load": load})


def write_card(path: Path, numbers: Mapping[str, Any], trained: str = "", load: str = "") -> None:
    """Write the card by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_text(model_card(numbers, trained, load), encoding="utf-8")
    os.replace(temporary, path)
