"""The drawing world and the starter model's training. This module only declares; torch is imported in the worker."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from webui.api import FeatureNetwork, ModelKind, PipelineSpec, TabSpec, hookimpl

from .params import DrawParams, EvaluateParams, TexturesParams, TrainParams


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="starter.draw",
            title="Draw pictures",
            params=DrawParams,
            run="extensions.starter.pipelines:DrawPipeline",
            tab="starter",
            description="Drawn people and places, captions and exact attributes: pictures, or a data set in a folder.",
        ),
        PipelineSpec(
            id="starter.textures",
            title="Draw textures",
            params=TexturesParams,
            run="extensions.starter.pipelines:TexturesPipeline",
            tab="starter",
            description="Brushwork, mosaics, stripes and the like, in colours of their own: what styles come from.",
        ),
        PipelineSpec(
            id="starter.train",
            title="Train the starter model",
            params=TrainParams,
            run="extensions.starter.pipelines:TrainPipeline",
            tab="starter",
            description="All networks from nothing, on drawn pictures; goes on where it was stopped.",
            outputs="file",
            keeps_work=True,
        ),
        PipelineSpec(
            id="starter.evaluate",
            title="Measure the starter model",
            params=EvaluateParams,
            run="extensions.starter.pipelines:EvaluatePipeline",
            tab="starter",
            description="Whether pictures made from held-out captions show what the captions say, and how fast.",
            outputs="scalar",
        ),
    ]


def _recognise_judge(path: Path) -> Mapping[str, Any] | None:
    """The judge is a file of weights beside the configuration that names its architecture."""
    try:
        config = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(config, dict) or config.get("architecture") != "starter-judge":
        return None
    return {"title": "Judge of the drawing world", "family": "starter-judge"}


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind("judge", "Judge of pictures", folders=("judge",), recognise=_recognise_judge)]


@hookimpl
def register_feature_networks() -> Iterable[FeatureNetwork]:
    return [
        FeatureNetwork(
            "starter.judge",
            "starter",
            dim=128,
            run="extensions.starter.network:JudgeNetwork",
            resizes=("area",),
            classes=True,
        )
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("starter", "Starter", order=130)]
