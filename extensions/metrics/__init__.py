"""How real are these pictures? This module only declares; the work is imported in the worker.

Who stands where: ``inputs`` is where pictures come from, ``features`` reads them with a network, ``sets`` compares sets
of features, ``pictures`` scores single pictures and pairs.
"""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import PipelineSpec, TabSpec, hookimpl

from .pictures.declared import PIPELINES as OF_PICTURES


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return OF_PICTURES


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("metrics", "Quality", order=70)]
