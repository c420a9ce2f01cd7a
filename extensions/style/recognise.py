"""What a file of this extension is, by its header alone: called for the list of models, in the web process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ENCODER, DECODER = "style_encoder", "style_decoder"
OWN, VGG = "starter", "vgg19"
"""Families of encoders."""
KIND_KEY, CONFIG_KEY = "lifelike.kind", "lifelike.config"
_HEADER_LIMIT_BYTES = 16 * 2**20
_VGG_LAST, _VGG_SHAPE = "features.34.weight", [512, 512, 3, 3]
"""The last convolution of VGG-19 as torchvision names it."""


def header(path: Path) -> Mapping[str, Any]:
    """The table of a safetensors file; empty where it is no such file."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _HEADER_LIMIT_BYTES:
                return {}
            table = json.loads(stream.read(length))
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def own_config(path: Path, kind: str) -> Mapping[str, Any] | None:
    """What a file of ours says of itself, where it is of ``kind``."""
    about = header(path).get("__metadata__")
    if not isinstance(about, dict) or about.get(KIND_KEY) != kind:
        return None
    try:
        config = json.loads(about[CONFIG_KEY])
    except (LookupError, TypeError, ValueError, RecursionError):
        return None
    return config if isinstance(config, dict) else None


def recognise_encoder(path: Path) -> Mapping[str, Any] | None:
    """Ours, or VGG-19: of safetensors by its table, of what PyTorch saved by its name, which loading then checks."""
    if own_config(path, ENCODER) is not None:
        return {"family": OWN, "title": "Starter"}
    last = header(path).get(_VGG_LAST)
    named = path.suffix.lower() in (".pth", ".pt") and path.stem.lower().startswith("vgg19")
    if named or (isinstance(last, dict) and last.get("shape") == _VGG_SHAPE):
        return {"family": VGG, "title": f"VGG-19 ({path.name})"}
    return None


def recognise_decoder(path: Path) -> Mapping[str, Any] | None:
    """Ours alone."""
    return {"family": OWN, "title": "Starter"} if own_config(path, DECODER) is not None else None
