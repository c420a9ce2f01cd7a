"""Last station of the starter: a model directory -> measured quality, as numbers and as the model card."""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from .controlnet import PLACE as LINES
from .data import HELD_OUT, to_tensor
from .export import load_pipeline, sample
from .judge import Judge, accuracy, judge_accuracy, load_judge, mean
from .loop import Hooks
from .measures import (
    autoencoder_measures,
    edit_measures,
    line_measures,
    set_distances,
    style_measures,
    upscaler_measures,
)
from .scope import WHOLE, Scope, scope_of

_BATCH = 8


def evaluate(
    model: Path,
    judge_folder: Path,
    *,
    samples: int = 512,
    steps: int = 20,
    guidance: float = 4.0,
    drawings: int = 5000,
    hooks: Hooks | None = None,
    keep: Callable[[Image.Image, str, int], None] | None = None,
) -> dict[str, Any]:
    """Attribute accuracy of generated pictures on held-out captions, beside the judge's own; distances; PSNR; time.

    What lies beside the model's directory (edit, controlnet, lora, upscaler) is measured too. `drawings`: how many
    drawn pictures the generated ones are compared with as sets. An attribute counts for a picture where its caption
    settles it (names it, or leaves out something worn). Captions and drawings are of the model's scope.
    `keep(image, caption, seed)` sees each picture.
    """
    hooks = hooks or Hooks()
    pipeline, judge = load_pipeline(model), load_judge(judge_folder)
    scope = scope_of(model)
    subjects = scope.subjects(HELD_OUT, samples)
    captions = [scope.caption(s, HELD_OUT + i) for i, s in enumerate(subjects)]
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
    size = pipeline.vae.config.sample_size
    by_attribute = accuracy(judge, torch.stack(made), subjects, [c.settles for c in captions])
    by_attribute = {name: share for name, share in by_attribute.items() if scope.counts(name)}
    own = judge_accuracy(judge, min(1000, 8 * samples), size)
    hooks.progress(samples, samples, "measuring")
    return {
        "attribute_accuracy": round(mean(by_attribute), 4),
        "by_attribute": {n: round(v, 4) for n, v in by_attribute.items()},
        "classifier_accuracy": round(mean(own), 4),
        "classifier_by_attribute": {n: round(v, 4) for n, v in own.items()},
        "distances": set_distances(judge, torch.stack(made), drawings, size, scope),
        **autoencoder_measures(pipeline.vae, judge, size, min(64, samples), scope),
        "whole_world": autoencoder_measures(pipeline.vae, judge, size, min(64, samples), WHOLE),
        "seconds_per_image": round(seconds_alone(pipeline, steps, guidance), 3),
        "seconds_per_image_in_batches": round(batch_seconds, 3),
        **_beside(model, judge, samples, size, steps=steps, guidance=guidance, scope=scope),
        "peak_memory_mib": peak_memory_mib(),
        "peak_memory_of_one_picture_mib": memory_of_one_picture(model, steps, guidance),
        "scope": scope.name,
        "scope_words": scope.words,
        "samples": samples,
        "steps": steps,
        "guidance_scale": guidance,
        "threads": torch.get_num_threads(),
        "judge_sha256": hashlib.sha256((judge_folder / "model.safetensors").read_bytes()).hexdigest(),
        "latent_channels": pipeline.vae.config.latent_channels,
        "parameters": {
            "unet": count(pipeline.unet),
            "text_encoder": count(pipeline.text_encoder),
            "vae": count(pipeline.vae),
            "judge": count(judge),
        },
    }


def _beside(
    model: Path, judge: Judge, samples: int, size: int, *, steps: int, guidance: float, scope: Scope
) -> dict[str, Any]:
    """Measures of the networks that lie beside the model's directory, as far as they are there."""
    root = model.parent
    settings: dict[str, Any] = {"steps": steps, "guidance": guidance, "scope": scope}
    told: dict[str, Any] = {}
    if (root / "edit").is_dir():
        told["edit"] = edit_measures(model, root / "edit", judge, min(200, samples), size, **settings)
    if (root / LINES).is_dir():
        told["controlnet"] = line_measures(model, root / LINES, min(64, samples), size, **settings)
    if (root / "lora").is_dir() and "style" in judge.attributes:
        told["lora"] = style_measures(model, root / "lora", judge, min(32, samples), **settings)
    if (root / "upscaler").is_dir():
        told["upscaler"] = upscaler_measures(root / "upscaler", size, min(64, samples))
    return told


def peak_memory_mib() -> int:
    """The most memory that this process has held so far, in MiB; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():
        # What getrusage tells on Linux is handed down from the process that started this one.
        (line,) = (row for row in status.read_text().splitlines() if row.startswith("VmHWM:"))
        return round(int(line.split()[1]) / 2**10)
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if sys.platform == "darwin" else 2**10))


def memory_of_one_picture(model: Path, steps: int, guidance: float) -> int:
    """The most memory in MiB that a fresh process holds which loads the model and makes one picture."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(_one_picture, model, steps, guidance).result()


def _one_picture(model: Path, steps: int, guidance: float) -> int:
    sample(load_pipeline(model), ["a smiling person"], [1], steps=steps, guidance=guidance)
    return peak_memory_mib()


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
