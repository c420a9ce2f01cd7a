"""A pipeline with a kind of models of its own: palettes, safetensors files below models/palettes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from webui.api import ModelKind, Params, PipelineSpec, hookimpl, image, model, number

from .colours import count_colours


class RecolourParams(Params):
    image: str = image(..., label="Image")
    palette: str = model(kind="palette", label="Palette")
    strength: float = number(1.0, minimum=0, maximum=1, label="Strength")


def recognise(path: Path) -> Mapping[str, Any] | None:
    """By its header; None for what is no palette."""
    try:
        return {"family": "palette", "title": path.stem, "colours": count_colours(path)}
    except (OSError, ValueError, AttributeError):
        return None


@hookimpl
def register_model_kinds() -> Iterable[ModelKind]:
    return [ModelKind(id="palette", title="Palette", folders=("palettes",), recognise=recognise)]


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(id="palette.recolour", title="Palette", tab="palette", params=RecolourParams, run=".work:Recolour")
    ]
