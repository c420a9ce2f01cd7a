"""Where the weights of a component lie in a file: what single files are read into, and components are built from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """The weights of one component within a file."""

    path: Path
    prefix: str = ""
    """What its names begin with there."""
