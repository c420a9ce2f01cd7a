"""Last station of the starter: a model directory -> measured quality, as numbers and as the model card."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .autoencoder import psnr_db
from .data import HELD_OUT, subjects_at, to_tensor
from .export import load_pipeline, sample
from .judge import accuracy, judge_accuracy, load_judge, mean
from .loop import Hooks
from .world import describe

_BATCH = 8


def evaluate(
    model: Path,
    judge_folder: Path,
    *,
    samples: int = 512,
    steps: int = 20,
    guidance: float = 4.0,
    hooks: Hooks | None = None,
    keep: Callable[[Image.Image, str, int], None] | None = None,
) -> dict[str, Any]:
    """Attribute accuracy of generated pictures on held-out captions, beside the judge's own; PSNR; time.

    An attribute counts for a picture where its caption settles it (names it, or leaves out something worn).
    `keep(image, caption, seed)` sees each picture.
    """
    hooks = hooks or Hooks()
    pipeline, judge = load_pipeline(model), load_judge(judge_folder)
    subjects = subjects_at(HELD_OUT, samples)
    captions = [describe(s, HELD_OUT + i) for i, s in enumerate(subjects)]
    made = []
    began = time.monotonic()
    for start in range(0, samples, _BATCH):
        hooks.check()
        hooks.progress(start, samples, "drawing from captions")
        texts = [c.text for c in captions[start : start + _BATCH]]
        seeds = list(range(start, start + len(texts)))
        for image, text, seed in zip(
            sample(pipeline, texts, seeds, steps=steps, guidance=guidance), texts, seeds, strict=True
        ):
            made.append(to_tensor(image))
            if keep is not None:
                keep(image, text, seed)
    batch_seconds = (time.monotonic() - began) / samples
    by_attribute = accuracy(judge, torch.stack(made), subjects, [c.settles for c in captions])
    own = judge_accuracy(judge, min(1000, 8 * samples), pipeline.vae.config.sample_size)
    return {
        "attribute_accuracy": round(mean(by_attribute), 4),
        "by_attribute": {n: round(v, 4) for n, v in by_attribute.items()},
        "classifier_accuracy": round(mean(own), 4),
        "classifier_by_attribute": {n: round(v, 4) for n, v in own.items()},
        "psnr_db": round(psnr_db(pipeline.vae, pipeline.vae.config.sample_size, min(64, samples)), 2),
        "seconds_per_image": round(seconds_alone(pipeline, steps, guidance), 3),
        "seconds_per_image_in_batches": round(batch_seconds, 3),
        "samples": samples,
        "steps": steps,
        "guidance_scale": guidance,
        "threads": torch.get_num_threads(),
        "parameters": {
            "unet": count(pipeline.unet),
            "text_encoder": count(pipeline.text_encoder),
            "vae": count(pipeline.vae),
            "judge": count(judge),
        },
    }


def seconds_alone(pipeline: Any, steps: int, guidance: float) -> float:
    """Wall seconds of one picture made alone, in the precision that a user gets by default (float32 here)."""
    took = []
    for seed in (1, 2, 3):
        began = time.monotonic()
        with torch.inference_mode():
            pipeline(
                "a smiling person",
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=torch.Generator().manual_seed(seed),
            )
        took.append(time.monotonic() - began)
    return min(took)


def count(module: torch.nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in module.parameters())
