"""Style mixing (Karras et al. 2019, section 3.1): the layers of one w in another."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

NAMED: Mapping[str, str] = {"coarse": "Coarse: 4 to 8 px", "middle": "Middle: 16 to 32 px", "fine": "Fine: 64 px on"}
_RANGE = re.compile(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*")


def layers_of(name: str, count: int) -> list[int]:
    """The layers of ``coarse``, ``middle`` or ``fine`` (two a resolution, as in the paper), or of numbers and ranges
    such as ``0-3, 7``. Raises ValueError.
    """
    ends = {"coarse": (0, 4), "middle": (4, 8), "fine": (8, count)}
    if name in ends:
        first, last = ends[name]
        return list(range(first, min(last, count)))
    layers: set[int] = set()
    for part in filter(str.strip, name.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"expected coarse, middle, fine, or layers such as 0-3, 7; got {part.strip()!r}")
        first = int(match[1])
        layers.update(range(first, int(match[2] or first) + 1))
    wrong = [layer for layer in layers if layer >= count]
    if wrong or not layers:
        raise ValueError(f"expected layers of 0 to {count - 1}, got {name!r}")
    return sorted(layers)


def mixed(base: Tensor, style: Tensor, layers: list[int]) -> Tensor:
    """``base`` [...,L,D] with the given layers of ``style``."""
    out = base.clone()
    out[..., layers, :] = style[..., layers, :]
    return out
