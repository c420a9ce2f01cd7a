"""Declarations of the scores of single pictures and pairs; light, read by the web process."""

from __future__ import annotations

from typing import Literal

from webui.api import Measure, Params, PipelineSpec

from .params import AccuracyParams, ClipParams, PathParams, PristineParams, QualityParams, ReferenceParams

_Outputs = Literal["scalar", "file"]
_REFERENCES = {"pictures": "pictures", "references": "references"}


def _measure(name: str, title: str, key: str, better: str = "") -> Measure:
    return Measure(f"metrics.{name}", title, (key,), better=better)


def _pair(name: str, title: str, better: str) -> Measure:
    """Against references; their error maps are left out."""
    return Measure(f"metrics.{name}", title, (name,), _REFERENCES, {"maps": 0}, better=better)


def _quality(name: str, title: str, keys: tuple[str, ...], better: str = "", **params: str) -> Measure:
    return Measure(f"metrics.{name}", title, keys, params=params, better=better)


def _spec(
    name: str,
    title: str,
    params: type[Params],
    run: str,
    outputs: _Outputs,
    description: str,
    measures: tuple[Measure, ...] = (),
) -> PipelineSpec:
    return PipelineSpec(
        id=f"metrics.{name}",
        title=title,
        params=params,
        run=f"extensions.metrics.pictures.{run}",
        tab="metrics",
        description=description,
        outputs=outputs,
        measures=measures,
    )


PIPELINES: tuple[PipelineSpec, ...] = (
    _spec(
        "image_quality",
        "Quality of single pictures",
        QualityParams,
        "quality:ImageQuality",
        "scalar",
        "Sharpness, colourfulness, NIQE and BRISQUE of each picture, without a reference.",
        (
            _quality("sharpness", "Sharpness", ("variance_of_laplacian",)),
            _quality("colourfulness", "Colourfulness", ("colourfulness",)),
            _quality("niqe", "NIQE (photographs)", ("niqe",), "lower", niqe="photographs"),
            _quality("niqe_drawings", "NIQE (drawings)", ("niqe",), "lower", niqe="drawings"),
            _quality("brisque", "BRISQUE, or the distance of its features", ("brisque", "brisque_distance"), "lower"),
        ),
    ),
    _spec(
        "against_reference",
        "Against a reference",
        ReferenceParams,
        "pairs:AgainstReference",
        "scalar",
        "PSNR, SSIM, MS-SSIM and LPIPS of pairs, and where they differ.",
        (
            _pair("psnr", "PSNR", "higher"),
            _pair("ssim", "SSIM", "higher"),
            _pair("ms_ssim", "MS-SSIM", "higher"),
            _pair("lpips", "LPIPS", "lower"),
        ),
    ),
    _spec(
        "clip_score",
        "CLIPScore",
        ClipParams,
        "clip_scoring:ClipScore",
        "scalar",
        "How well pictures fit their prompts, by CLIP (Hessel et al. 2021).",
        (_measure("clip_score", "CLIPScore", "clip_score", "higher"),),
    ),
    _spec(
        "prompt_accuracy",
        "Accuracy of prompts",
        AccuracyParams,
        "accuracy:PromptAccuracy",
        "scalar",
        "Whether pictures show what their prompts ask for, attribute by attribute, by a judge.",
        (_measure("prompt_accuracy", "Accuracy of prompts", "accuracy", "higher"),),
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
