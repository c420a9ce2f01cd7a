"""Recognises palettes, safetensors files with one tensor ``palette`` [N,3] in 0..1, by their header alone."""

from __future__ import annotations

import json
from pathlib import Path

TENSOR = "palette"
MOST = 256
_LONGEST_HEADER = 64 * 1024


def count_colours(path: Path) -> int:
    """How many colours the palette has. Raises OSError, ValueError for what is none."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 2 <= length <= _LONGEST_HEADER:
            raise ValueError("its header is too long for a palette")
        header = json.loads(stream.read(length))
    shape = header.get(TENSOR, {}).get("shape", ())
    if set(header) - {"__metadata__"} != {TENSOR} or len(shape) != 2 or shape[1] != 3 or not 1 <= shape[0] <= MOST:
        raise ValueError(f"expected one tensor {TENSOR!r} [1..{MOST}, 3]")
    return int(shape[0])
