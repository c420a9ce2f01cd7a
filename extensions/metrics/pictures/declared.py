"""Declarations of the scores of single pictures and pairs; light, read by the web process."""

from __future__ import annotations

from webui.api import PipelineSpec

PIPELINES: tuple[PipelineSpec, ...] = ()
"""Their tab is ``metrics``."""
