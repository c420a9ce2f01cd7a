"""A custom tab, beside a declared pipeline whose form stands in it."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import Params, PipelineSpec, TabSpec, colour, hookimpl, size


class SwatchParams(Params):
    colour: str = colour("#c83c28", label="Colour")
    width: int = size(256, label="Width")


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec(id="swatches", title="Swatches", build=".tab:build")]


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [PipelineSpec(id="swatches.swatch", title="Swatch", tab="swatches", params=SwatchParams, run=".work:Swatch")]
