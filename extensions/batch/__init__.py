"""Batches over folders. This module only declares; the work is imported in the worker."""

from __future__ import annotations

from collections.abc import Iterable

from webui.api import PipelineSpec, hookimpl

from .accepting import accept
from .params import FolderParams


@hookimpl
def register_pipelines() -> Iterable[PipelineSpec]:
    return [
        PipelineSpec(
            id="batch.folder",
            title="Folder",
            params=FolderParams,
            run="extensions.batch.folder:Folder",
            tab="img2img",
            description="Any pipeline that begins with a picture, over every picture of a folder of this machine.",
            accept=accept,
            keeps_work=True,
        )
    ]
