"""What a file of this extension is, by its header or name alone: called for the list of models, in the web process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KIND = "face_network"
DRAWN, FAN, BISENET = "drawn", "fan", "bisenet"
_TITLES = {FAN: "2DFAN landmarks", BISENET: "BiSeNet parts of faces"}
_HEADER_LIMIT_BYTES = 16 * 2**20
_SIGNS = {FAN: "m0.b1_4.bn1.weight", BISENET: "cp.arm16.conv_atten.weight"}
_NAMES = {"2dfan": FAN, "bisenet": BISENET, "face_parsing": BISENET, "face-parsing": BISENET, "79999_iter": BISENET}


def recognise(path: Path) -> Mapping[str, Any] | None:
    """Family and title of a network of faces; None for what is none."""
    try:
        about = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        about = None
    if isinstance(about, dict) and about.get("architecture") == "lifelike-faces":
        return {"family": DRAWN, "title": str(about.get("title") or "Drawn faces")[:200]}
    family = _by_table(path) if path.suffix.lower() == ".safetensors" else _by_name(path)
    return {"family": family, "title": _TITLES[family]} if family else None


def _by_name(path: Path) -> str:
    """Pickled files are not opened here; whoever loads one finds out whether its name told the truth."""
    return next((family for part, family in _NAMES.items() if part in path.name.lower()), "")


def _by_table(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            table = json.loads(stream.read(length)) if 2 <= length <= _HEADER_LIMIT_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return ""
    names = {str(name).removeprefix("module.") for name in table} if isinstance(table, dict) else set()
    return next((family for family, sign in _SIGNS.items() if sign in names), "")
