"""What one run within a report's job told, between the runs and the sections of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from webui.api import Artifact


@dataclass
class Found:
    """What a run within this one told."""

    numbers: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By title."""
    plots: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: dict[str, Image.Image] = field(default_factory=dict)
    error: str = ""
    """Why there is nothing."""

    def take(self, artifact: Artifact) -> None:
        """Fold one artifact in."""
        if artifact.kind == "scalar":
            self.numbers = dict(artifact.data)
        elif artifact.kind == "table":
            self.tables[artifact.title] = [dict(row) for row in artifact.data]
        elif artifact.kind == "plot":
            self.plots[artifact.title] = dict(artifact.data)
        elif artifact.kind == "image":
            self.images[artifact.title] = artifact.data.convert("RGB")
