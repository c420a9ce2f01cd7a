"""Work on model files themselves. This module only declares; what it declares is imported in the worker."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import PipelineSpec, TabSpec, hookimpl

from .params import ConvertParams


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="model_files.convert",
            title="Convert to safetensors",
            params=ConvertParams,
            run="extensions.model_files.converting:ConvertPipeline",
            tab="models",
            description="The same tensors as safetensors, beside the pickled file, without running what is in it.",
            outputs="table",
        )
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("models", "Models", order=120)]
