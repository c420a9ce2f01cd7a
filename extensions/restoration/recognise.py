"""What a file of this kind is, by its header alone: called for the list of models, in the web process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KIND = "restoration"
ANY = "restoration|upscaler"
"""Kinds that may hold a network for a step: what spandrel reads is told apart only when it is loaded."""
TASK_KEY = "lifelike.restoration"
"""In the metadata of our own safetensors: which of ``networks.unet.TASKS`` it does."""
FAMILY = "lifelike-"
TITLES = {"restorer": "Noise and JPEG", "colourizer": "Colours", "scratches": "Scratches"}
_HEADER_LIMIT_BYTES = 2**22


def task_of(path: Path) -> str:
    """The task of one of our own files; empty for others."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if path.suffix.lower() != ".safetensors" or not 2 <= length <= _HEADER_LIMIT_BYTES:
                return ""
            table = json.loads(stream.read(length))
        task = str(table["__metadata__"][TASK_KEY])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""
    return task if task in TITLES else ""


def recognise(path: Path) -> Mapping[str, Any] | None:
    """Ours by their metadata; any other file of these folders is one that may be tried."""
    task = task_of(path)
    if task:
        return {"family": FAMILY + task, "title": f"{TITLES[task]} ({path.parent.parent.name})"}
    return {} if path.parent.name == "restoration" else None
