"""After evaluation: measured numbers -> the model card, so that the card never says what was not measured."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .world import SHARED, SPEC, SPECS

_CARD = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---

# The starter models

Small models in the usual layouts that know the project's own drawing world. They come with the project so that
everything works before any download.

- `avatar/`: a diffusers directory (`StableDiffusionPipeline`): CLIPTokenizer with a vocabulary of its own,
  CLIPTextModel ({text_encoder:,} parameters), UNet2DConditionModel ({unet:,}), AutoencoderKL of factor 8 with
  {latent_channels} latent channels ({vae:,}); v-prediction over scaled_linear betas. float16 safetensors.
- `judge/`: the attribute classifier ({judge:,} parameters) that measures it; its {features} penultimate features are
  the feature network of the distances below. SHA-256 of its weights: `{judge_sha256}`.
{beside}
Recommended: {steps} steps, guidance scale {guidance_scale:g}.

## Prompts

"a smiling person with long red hair and glasses, blue background". The text-to-image model was trained on
{scope_words}. It knows these attributes and nothing else; other words do little.

{attributes}

## Data

Drawn by the project's own code (`extensions/starter/world`): every attribute is drawn independently and known
exactly, captions and instructions are worded by a grammar. No photographs, no real people, no data of others.

## Recipe

`python launch.py run starter.train --folder DIR` (configurations: `extensions/starter/configs`). Autoencoder on
crops, then whole drawings, with extra weight on the face's features; whitening of the latents folded into quant_conv,
so scaling_factor is 1.0; decoder polish. Text encoder on captions and the attributes they settle, then kept; UNet with
more weight on the face and on high noise, 10% caption drop and an average of the weights.

{trained}

## Measured

Pictures from {samples} held-out captions of {scope_words}, {steps} steps, guidance
scale {guidance_scale:g}, Euler; an attribute counts where the caption settles it. The judge is right on
{classifier_accuracy:.1%} of the attributes of held-out drawings of the whole world.

| attribute | generated | judge on drawings |
| --- | --- | --- |
{rows}
| **mean** | **{attribute_accuracy:.1%}** | **{classifier_accuracy:.1%}** |

{measures}

## Licence and limits

Apache 2.0, as the project. Drawings with a fixed set of attributes; an unusual combination may come out wrong. Fine
detail (eyes behind glasses, teeth) is limited by the 8x autoencoder.
"""
_BESIDE = {
    "edit": "`edit/`: instruction editing (`StableDiffusionInstructPix2PixPipeline`); a UNet of its own, all else is "
    "`avatar/`'s, as `_shared` in its model_index.json says.",
    "controlnet": "`controlnet/lines/`: a ControlNet of line drawings for `avatar/`.",
    "lora": "`lora/<style>/`: LoRAs of drawing styles for `avatar/`.",
    "upscaler": "`upscaler/`: upscalers in Real-ESRGAN's compact layout.",
    "faces": "`faces/`: the network that finds faces, their landmarks and parts; it has a card of its own.",
}


def model_card(numbers: Mapping[str, Any], trained: str = "", load: str = "") -> str:
    """The card's Markdown from the result of `evaluate`; `trained` says how long, `load` what else ran meanwhile."""
    own = numbers["classifier_by_attribute"]
    values = {
        **numbers,
        **numbers["parameters"],
        "features": numbers["distances"]["features"],
        "rows": "\n".join(f"| {n} | {v:.1%} | {own[n]:.1%} |" for n, v in numbers["by_attribute"].items()),
        "beside": "".join(f"{_item(text)}\n" for name, text in _BESIDE.items() if name in numbers),
        "attributes": "\n".join(_item(line) for line in _attributes(numbers["scope"])),
        "measures": "\n".join(_item(line) for line in _measures(numbers, load)),
        "trained": textwrap.fill(trained, 110),
    }
    return _CARD.format(**values)


def _item(text: str) -> str:
    return textwrap.fill(text, 116, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def _attributes(scope: str) -> list[str]:
    known = {"avatar": SPEC} if scope == "plain" else SPECS
    left_out = SHARED if scope == "flat" else ()
    return [
        f"{domain}, {name.replace('_', ' ')}: {', '.join(values)}"
        for domain, spec in known.items()
        for name, values in spec.items()
        if name not in left_out
    ]


def _measures(numbers: Mapping[str, Any], load: str) -> list[str]:
    """One line a measure, for what was measured."""
    sets = numbers["distances"]
    every_style = numbers["whole_world"]
    against = f"{sets['generated']:,} generated against {sets['real']:,} drawn pictures"
    told = [
        f"FD-starter (Frechet distance on the judge's features, no FID): {_interval(sets['fd_starter'])}, "
        f"{sets['fd_starter_infinity']:g} for unlimited pictures; as many drawings score {sets['fd_starter_floor']:g}; "
        f"{against}, resized by {sets['resize']}."
        + ("" if sets["enough_generated"] else " Fewer than ten pictures a feature: the number is biased upward."),
        f"KD-starter (kernel distance on the same features): {_interval(sets['kd_starter'])}; as many drawings score "
        f"{sets['kd_starter_floor']:g}.",
        f"Autoencoder: {numbers['psnr_db']:.2f} dB PSNR on held-out drawings; perceptual distance on the judge's trunk "
        f"{numbers['perceptual_distance']:.4f} (not LPIPS). With all drawing styles: {every_style['psnr_db']:.2f} dB, "
        f"{every_style['perceptual_distance']:.4f}.",
        f"{numbers['seconds_per_image']:.2f} s an image alone, {numbers['seconds_per_image_in_batches']:.2f} s in "
        f"batches of 8 ({numbers['threads']} CPU threads{load}).",
        f"Memory: {numbers['peak_memory_of_one_picture_mib']:,} MiB for a process that makes one picture, at most "
        f"{numbers['peak_memory_mib']:,} MiB over the whole evaluation.",
    ]
    if edit := numbers.get("edit"):
        told.append(
            f"Editing: {edit['changed']:.1%} of named attributes changed as asked, {edit['kept']:.1%} of the others "
            f"kept, over {edit['cases']} cases (the judge on exact drawings: {edit['judge_changed']:.1%}, "
            f"{edit['judge_kept']:.1%})."
        )
    if lines := numbers.get("controlnet"):
        told.append(
            f"ControlNet: edges correlate with the drawing's by {lines['with_lines']:.3f}, without it by "
            f"{lines['without_lines']:.3f}."
        )
    for style, shares in numbers.get("lora", {}).items():
        told.append(
            f"LoRA {style}: the judge sees the style in {shares['with_lora']:.1%} of pictures, without the LoRA in "
            f"{shares['without']:.1%}."
        )
    for scale, psnr in numbers.get("upscaler", {}).items():
        told.append(
            f"Upscaler {scale}: {psnr['psnr_db']:.2f} dB PSNR, bicubic resizing {psnr['bicubic_psnr_db']:.2f} dB."
        )
    return told


def _interval(told: Mapping[str, float]) -> str:
    return f"{told['value']:g} (95% interval {told['low']:g} to {told['high']:g})"


def write_card(path: Path, numbers: Mapping[str, Any], trained: str = "", load: str = "") -> None:
    """Write the card by way of a temporary file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_text(model_card(numbers, trained, load), encoding="utf-8")
    os.replace(temporary, path)
