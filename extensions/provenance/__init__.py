"""Marks what was made as made by a machine, and reads marks. This module only declares; the rest is imported when a
mark is put or read.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from webui.api import FileContext, ImageContext, PipelineSpec, SettingsSpec, TabSpec, hookimpl

from .params import CheckParams, ProvenanceSettings, accept_check
from .wanted import is_wanted


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="provenance.check",
            title="Check a picture",
            params=CheckParams,
            run="extensions.provenance.checking:Check",
            tab="provenance",
            description="Where a picture or film says it comes from: signed manifest, watermark, recipe.",
            outputs="table",
            accept=accept_check,
        )
    ]


@hookimpl
def register_tabs() -> Iterable[TabSpec]:
    return [TabSpec("provenance", "Provenance", order=125)]


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec("provenance", "Provenance", ProvenanceSettings)]


@hookimpl
def process_image(image: Any, context: ImageContext) -> Any:
    """Label and watermark, where they are wanted."""
    if not is_wanted(context):
        return None
    from .marking import marked_pixels

    return marked_pixels(image, context)


@hookimpl
def mark_file(source: Path, target: Path, context: FileContext) -> bool:
    """The signed manifest and, where consent was asked for, the entry of the audit log."""
    if not is_wanted(context):
        return False
    from .marking import mark

    return mark(source, target, context)
