"""Evaluation of what stands beside the base: edits, line drawings, styles, upscalers, and distances of pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from .autoencoder import reconstruct
from .controlnet import load_control_pipeline
from .data import HELD_OUT, label_row, pictures, settled_heads, subjects_at, to_tensor
from .distances import frechet_at_infinity, frechet_distance, kernel_distance, with_interval
from .edit import edited, load_editor
from .export import load_pipeline, sample, sampling
from .judge import Judge, features_of, predictions
from .lora import PLAIN
from .scope import WHOLE, Scope
from .upscaler import compare_with_bicubic, load_upscaler
from .world import Edit, line_drawing

BATCH = 8
_REAL_FROM, _FLOOR_FROM = HELD_OUT + 10_000_000, HELD_OUT + 20_000_000


def set_distances(judge: Judge, made: Tensor, real_count: int, size: int, scope: Scope = WHOLE) -> dict[str, Any]:
    """FD and KD of generated pictures float32 [N,3,H,W] in -1..1 against drawings, on the judge's features.

    FD-starter is no FID: its extractor is the bundled judge. `floor` is the distance of as many drawings.
    """
    real, floor = (
        features_of(
            judge, torch.cat([pictures(scope.subjects(start + i, min(64, n - i)), size) for i in range(0, n, 64)])
        )
        .double()
        .numpy()
        for start, n in ((_REAL_FROM, real_count), (_FLOOR_FROM, len(made)))
    )
    features = features_of(judge, made).double().numpy()
    return {
        "fd_starter": with_interval(frechet_distance, real, features).rounded(),
        "fd_starter_infinity": round(frechet_at_infinity(real, features), 4),
        "fd_starter_floor": round(frechet_distance(real, floor), 4),
        "kd_starter": with_interval(kernel_distance, real, features).rounded(6),
        "kd_starter_floor": round(kernel_distance(real, floor), 6),
        "features": judge.feature_count,
        "resize": f"area mean to {judge.size} px",
        "real": real_count,
        "generated": len(made),
        "enough_generated": len(made) >= 10 * judge.feature_count,
    }


def perceptual_distance(judge: Judge, first: Tensor, second: Tensor) -> Tensor:
    """float32 [N,3,H,W] in -1..1, twice -> [N]: squared distance of unit-length trunk activations, over all layers.

    As LPIPS without learned weights (Zhang et al. 2018, section 3), on the judge's own trunk: not to be compared with
    LPIPS.
    """
    total = torch.zeros(len(first))
    a, b = judge.scaled(first), judge.scaled(second)
    with torch.no_grad():
        for layer in judge.trunk:
            a, b = layer(a), layer(b)
            if isinstance(layer, torch.nn.SiLU):
                x, y = (v / v.norm(dim=1, keepdim=True).clamp(min=1e-6) for v in (a, b))
                total += (x - y).square().sum(1).mean(dim=(1, 2))
    return total


def autoencoder_measures(
    vae: AutoencoderKL, judge: Judge, size: int, count: int = 64, scope: Scope = WHOLE
) -> dict[str, float]:
    """Mean PSNR in dB and mean perceptual distance of reconstructions of held-out drawings."""
    images = pictures(scope.subjects(HELD_OUT, count), size)
    made = torch.cat([reconstruct(vae, part) for part in images.split(16)]).clamp(-1, 1)
    psnr = -10 * torch.log10((made - images).square().mean(dim=(1, 2, 3)) / 4)
    distance = torch.cat(
        [perceptual_distance(judge, a, b) for a, b in zip(made.split(64), images.split(64), strict=True)]
    )
    return {"psnr_db": round(float(psnr.mean()), 2), "perceptual_distance": round(float(distance.mean()), 4)}


def edit_measures(
    base: Path,
    folder: Path,
    judge: Judge,
    count: int,
    size: int,
    *,
    steps: int,
    guidance: float,
    scope: Scope = WHOLE,
) -> dict[str, float | int]:
    """Held-out edits, by the judge: share of named attributes changed as asked, and of the other shown ones kept.

    The `judge_` shares are those of the exact drawings after the edit: what a perfect model would score.
    """
    pipeline = load_editor(folder, base)
    told = json.loads((folder / "lifelike.json").read_text(encoding="utf-8"))["recommended"]
    edits = [scope.edit(HELD_OUT + 30_000_000 + i) for i in range(count)]
    made: list[Image.Image] = []
    for i in range(0, count, BATCH):
        part = edits[i : i + BATCH]
        made += edited(
            pipeline,
            part,
            list(range(i, i + len(part))),
            size=size,
            steps=steps,
            guidance=guidance,
            image_guidance=told["image_guidance_scale"],
        )
    changed, kept = edit_shares(judge, torch.stack([to_tensor(m) for m in made]), edits)
    ceiling = edit_shares(judge, pictures([e.after for e in edits], size), edits)
    names = ("changed", "kept", "judge_changed", "judge_kept")
    return {"cases": count} | {n: round(v, 4) for n, v in zip(names, (changed, kept, *ceiling), strict=True)}


def edit_shares(judge: Judge, images: Tensor, edits: Sequence[Edit]) -> tuple[float, float]:
    """Shares of the named attributes and of the others in pictures float32 [N,3,H,W] that are as after the edit.

    Others count where the edit leaves them as they were and in sight.
    """
    found = predictions(judge, images)
    right: dict[bool, list[bool]] = {True: [], False: []}
    for i, one in enumerate(edits):
        named = settled_heads(one.after, one.changed)
        before, after = label_row(one.before), label_row(one.after)
        for head in judge.attributes:
            if after[head] >= 0 and (head in named or before[head] == after[head]):
                right[head in named].append(int(found[head][i]) == after[head])
    changed, kept = (sum(r) / max(1, len(r)) for r in (right[True], right[False]))
    return changed, kept


def line_measures(
    base: Path, controlnet: Path, count: int, size: int, *, steps: int, guidance: float, scope: Scope = WHOLE
) -> dict[str, float]:
    """Correlation of made pictures' edges with the drawings' edges, with the ControlNet and without it."""
    subjects = scope.subjects(HELD_OUT, count)
    prompts = [scope.caption(s, HELD_OUT + i).text for i, s in enumerate(subjects)]
    lines = [line_drawing(s, size) for s in subjects]
    truth = edge_strength(pictures(subjects, size))
    settings = {"num_inference_steps": steps, "guidance_scale": guidance}
    with_lines, plain = load_control_pipeline(base, controlnet), load_pipeline(base)
    scores: dict[str, float] = {}
    for name, pipeline in (("with_lines", with_lines), ("without_lines", plain)):
        made: list[Image.Image] = []
        for i in range(0, count, BATCH):
            part = slice(i, i + BATCH)
            asked: dict[str, Any] = {"prompt": prompts[part], **settings}
            if pipeline is with_lines:
                asked["image"] = lines[part]
            made += sampling(pipeline, list(range(count))[part], **asked)
        found = edge_strength(torch.stack([to_tensor(m) for m in made]))
        correlations = [float(np.corrcoef(a, b)[0, 1]) for a, b in zip(found.numpy(), truth.numpy(), strict=True)]
        scores[name] = round(float(np.nan_to_num(correlations).mean()), 4)
    return scores


def edge_strength(images: Tensor) -> Tensor:
    """float32 [N,3,H,W] -> float32 [N, pixels]: the length of the brightness's gradient, softened over 3 x 3."""
    grey = images.mean(1, keepdim=True)
    across, down = grey[..., :-1, 1:] - grey[..., :-1, :-1], grey[..., 1:, :-1] - grey[..., :-1, :-1]
    strength = (across.square() + down.square()).sqrt()
    return torch.nn.functional.avg_pool2d(strength, 3, stride=1).flatten(1)


def style_measures(
    base: Path, loras: Path, judge: Judge, count: int, *, steps: int, guidance: float, scope: Scope = WHOLE
) -> dict[str, dict[str, float]]:
    """Style -> share of pictures that the judge takes for it, with its LoRA and without, from flat captions."""
    subjects = [s.with_(style=PLAIN) for s in scope.subjects(HELD_OUT, count)]
    prompts = [scope.caption(s, HELD_OUT + i).text for i, s in enumerate(subjects)]
    names = judge.attributes["style"]

    def found(folder: Path | None) -> Tensor:
        pipeline = load_pipeline(base)
        if folder is not None:
            pipeline.load_lora_weights(folder)
        made = []
        for i in range(0, count, BATCH):
            texts = prompts[i : i + BATCH]
            made += sample(pipeline, texts, list(range(i, i + len(texts))), steps=steps, guidance=guidance)
        return predictions(judge, torch.stack([to_tensor(m) for m in made]))["style"]

    plain = found(None)
    scores = {}
    for folder in sorted(p for p in loras.iterdir() if p.is_dir()):
        index = names.index(folder.name)
        share = (found(folder) == index).float().mean()
        without = (plain == index).float().mean()
        scores[folder.name] = {"with_lora": round(float(share), 4), "without": round(float(without), 4)}
    return scores


def upscaler_measures(folder: Path, size: int, count: int = 64) -> dict[str, dict[str, float]]:
    """Scale -> PSNR in dB of each upscaler and of bicubic resizing on held-out drawings."""
    subjects = subjects_at(HELD_OUT, count)
    scores = {}
    for path in sorted(folder.glob("*.safetensors")):
        model = load_upscaler(path)
        told = compare_with_bicubic(model, subjects, size)
        scores[f"x{model.scale}"] = {n: round(v, 2) for n, v in told.items()}
    return scores
