"""Declarations of the scores of sets; light, read by the web process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webui.api import ChoiceSource, FeatureNetwork, Measure, ModelKind, Params, PipelineSpec

from .accepting import accept, accept_tradeoff
from .params import (
    MEASURES,
    ClassParams,
    CompareParams,
    FrechetParams,
    KernelParams,
    NeighbourParams,
    SetParams,
    StatisticsParams,
    TradeoffParams,
)

_WORK = "extensions.metrics.pipelines"


def _of_sets(key: str, keys: tuple[str, ...], better: str, least: int = 8) -> Measure:
    """A score of metrics.compare, for sets that other jobs make."""
    takes = {"pictures": "generated", "real": "real"}
    return Measure(f"metrics.{key}", MEASURES[key], keys, takes, {"scores": [key]}, least, better)


SET_MEASURES = (
    _of_sets("fd", ("fd",), "lower"),
    _of_sets("fd_infinity", ("fd_infinity",), "lower", 64),
    _of_sets("kd", ("kd",), "lower"),
    _of_sets("inception_score", ("inception_score",), "higher", 10),
    _of_sets("precision_recall", ("precision", "recall"), "higher"),
    _of_sets("density_coverage", ("density", "coverage"), "near real"),
    _of_sets("cmmd", ("cmmd",), "lower"),
    _of_sets("diversity", ("perceptual_diversity", "ms_ssim_diversity"), "near real"),
)


def _single(name: str, title: str, params: type[Params], run: str, description: str) -> PipelineSpec:
    """One score by itself: reached by HTTP and the command line; the page has metrics.compare."""
    return PipelineSpec(
        id=f"metrics.{name}",
        title=title,
        params=params,
        run=f"{_WORK}:{run}",
        description=description,
        outputs="scalar",
        keeps_work=True,
        accept=accept if issubclass(params, SetParams) else None,
    )


PIPELINES: tuple[PipelineSpec, ...] = (
    PipelineSpec(
        id="metrics.compare",
        title="Real against generated",
        params=CompareParams,
        run=f"{_WORK}:Compare",
        tab="metrics",
        description="Several scores of two sets of pictures in one pass, each with its interval and floor.",
        outputs="scalar",
        keeps_work=True,
        accept=accept,
        measures=SET_MEASURES,
        examples=(
            {
                "title": "The starter's people against drawn ones",
                "real": "drawn:avatar",
                "pipeline": "diffusion.txt2img",
                "params": {"prompt": "a smiling person"},
                "samples": 128,
            },
        ),
    ),
    PipelineSpec(
        id="metrics.tradeoff",
        title="Quality against cost",
        params=TradeoffParams,
        run="extensions.metrics.tradeoff:Tradeoff",
        tab="metrics",
        description="A parameter of a pipeline over several values: scores with intervals, time, and what is worth it.",
        outputs="plot",
        keeps_work=True,
        accept=accept_tradeoff,
    ),
    _single("fid", "Frechet inception distance", FrechetParams, "Fid", "Heusel et al. 2017; also at infinity."),
    _single("fd", "Frechet distance", FrechetParams, "Fd", "On the features of any network."),
    _single("kid", "Kernel inception distance", KernelParams, "Kid", "Binkowski et al. 2018."),
    _single("inception_score", "Inception score", ClassParams, "InceptionScore", "Salimans et al. 2016."),
    _single(
        "precision_recall",
        "Precision, recall, density, coverage",
        SetParams,
        "PrecisionRecall",
        "Kynkaanniemi et al. 2019; Naeem et al. 2020.",
    ),
    _single("cmmd", "CMMD", SetParams, "Cmmd", "Jayasumana et al. 2024."),
    _single(
        "neighbours",
        "Nearest neighbours",
        NeighbourParams,
        "Neighbours",
        "The real picture that is nearest to each generated one: was it learnt by heart?",
    ),
    _single("statistics", "Statistics of a set", StatisticsParams, "Statistics", "Mean and covariance as .npz."),
)

NETWORKS: tuple[FeatureNetwork, ...] = (
    FeatureNetwork(
        "metrics.inception",
        "Inception",
        dim=2048,
        run="extensions.metrics.features.networks:InceptionNetwork",
        resizes=("tensorflow", "clean", "legacy"),
        classes=True,
    ),
    FeatureNetwork(
        "metrics.clip",
        "CLIP",
        dim=768,
        run="extensions.metrics.features.networks:ClipNetwork",
        resizes=("bicubic",),
    ),
    FeatureNetwork(
        "metrics.dinov2",
        "DINOv2",
        dim=1024,
        run="extensions.metrics.features.networks:DinoNetwork",
        resizes=("bicubic with antialias",),
    ),
    FeatureNetwork(
        "metrics.vgg16",
        "VGG16",
        dim=4096,
        run="extensions.metrics.features.networks:VggNetwork",
        resizes=("tensorflow",),
    ),
)


def _recognise(path: Path) -> Mapping[str, Any] | None:
    """Whatever lies in ``models/features``: which network it is, its tensors tell when it is wanted."""
    return {"family": "features"} if "features" in path.parent.parts else None


KINDS: tuple[ModelKind, ...] = (ModelKind("features", "Feature network", ("features",), _recognise),)

CHOICES: tuple[ChoiceSource, ...] = (ChoiceSource("metrics.scores", "Scores", lambda folders: tuple(MEASURES)),)
