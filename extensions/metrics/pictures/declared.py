"""Declarations of the scores of single pictures and pairs; light, read by the web process."""

from __future__ import annotations

from typing import Literal

from webui.api import Params, PipelineSpec

from .params import AccuracyParams, ClipParams, PathParams, PristineParams, QualityParams, ReferenceParams

_Outputs = Literal["scalar", "file"]


def _spec(name: str, title: str, params: type[Params], run: str, outputs: _Outputs, description: str) -> PipelineSpec:
    return PipelineSpec(
        id=f"metrics.{name}",
        title=title,
        params=params,
        run=f"extensions.metrics.pictures.{run}",
        tab="metrics",
        description=description,
        outputs=outputs,
    )


PIPELINES: tuple[PipelineSpec, ...] = (
    _spec(
        "image_quality",
        "Quality of single pictures",
        QualityParams,
        "quality:ImageQuality",
        "scalar",
        "Sharpness, colourfulness, NIQE and BRISQUE of each picture, without a reference.",
    ),
    _spec(
        "against_reference",
        "Against a reference",
        ReferenceParams,
        "pairs:AgainstReference",
        "scalar",
        "PSNR, SSIM, MS-SSIM and LPIPS of pairs, and where they differ.",
    ),
    _spec(
        "clip_score",
        "CLIPScore",
        ClipParams,
        "clip_scoring:ClipScore",
        "scalar",
        "How well pictures fit their prompts, by CLIP (Hessel et al. 2021).",
    ),
    _spec(
        "prompt_accuracy",
        "Accuracy of prompts",
        AccuracyParams,
        "accuracy:PromptAccuracy",
        "scalar",
        "Whether pictures show what their prompts ask for, attribute by attribute, by a judge.",
    ),
    _spec(
        "ppl",
        "Perceptual path length",
        PathParams,
        "walking:PathLength",
        "scalar",
        "How smoothly a generator's pictures change (Karras et al. 2019).",
    ),
    _spec(
        "fit_pristine",
        "Fit a pristine model",
        PristineParams,
        "quality:FitPristine",
        "file",
        "NIQE's idea of natural pictures, from pictures of your own.",
    ),
)
"""Their tab is ``metrics``."""
