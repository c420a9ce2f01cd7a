"""First reader of a weights file: its table of tensors, without its tensors. Everything else in the catalog works on
this table.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from webui.core.errors import ModelError

HEADER_LIMIT_BYTES = 64 * 2**20
"""The largest models' tables take a few MiB."""

_ITEM_BITS: Mapping[str, int] = {
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 16),
    **dict.fromkeys(("I32", "U32", "F32"), 32),
    **dict.fromkeys(("I64", "U64", "F64", "C64"), 64),
}


@dataclass(frozen=True)
class Header:
    """The tensors of a safetensors file: name -> shape, and the metadata its writer left."""

    shapes: Mapping[str, tuple[int, ...]]
    dtypes: frozenset[str]
    metadata: Mapping[str, str]

    @cached_property
    def _names(self) -> list[str]:
        return sorted(self.shapes)

    def has(self, prefix: str) -> bool:
        """Whether a tensor's name begins with ``prefix``."""
        place = bisect_left(self._names, prefix)
        return place < len(self._names) and self._names[place].startswith(prefix)


def read_header(path: Path) -> Header:
    """The table of ``path``, checked against the file's length. Raises ModelError that says what is wrong, OSError."""
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise ModelError("The file is cut off: it is shorter than a safetensors file's first 8 bytes.", hint=_AGAIN)
        length = int.from_bytes(start, "little")
        if length > min(HEADER_LIMIT_BYTES, size_bytes - 8):
            raise ModelError(_not_safetensors(start + stream.read(56), length, size_bytes), hint=_AGAIN)
        raw = stream.read(length)
    try:
        table = json.loads(raw, object_pairs_hook=_without_twins)
    except _Twice as error:
        raise ModelError(f"The file's table names {str(error)[:80]!r} twice.", hint=_AGAIN) from None
    except (ValueError, RecursionError):
        raise ModelError(_not_safetensors(start + raw[:56], length, size_bytes), hint=_AGAIN) from None
    return _checked(table, size_bytes - 8 - length)


_AGAIN = "Fetch the file again from where it came."


class _Twice(Exception):
    """A name that a table holds two times: two programs may read two different models from it."""


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return table


def _not_safetensors(start: bytes, length: int, size_bytes: int) -> str:
    """Words for a file that does not begin like safetensors, by what it looks like."""
    text = start.lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        return "This is a Git LFS pointer, not the weights: they were never fetched (git lfs pull)."
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")):
        return "This is a pickle (a PyTorch file) under a safetensors name; it is not opened."
    if start.startswith(b"GGUF"):
        return "This is a GGUF file under a safetensors name."
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "This is a web page, not weights: the download met a login or an error page."
    if text[8:9] == b"{" or start[8:9] == b"{":
        return (
            f"The file is cut off or damaged: its table should be {length} bytes long, the whole file has {size_bytes}."
        )
    return "The file does not begin like safetensors."


def _checked(table: Any, data_bytes: int) -> Header:
    if not isinstance(table, dict):
        raise ModelError(f"The file's table is a {type(table).__name__}, expected an object.", hint=_AGAIN)
    metadata = table.pop("__metadata__", None) or {}
    shapes: dict[str, tuple[int, ...]] = {}
    dtypes = set()
    places: list[tuple[int, int]] = []
    for name, row in table.items():
        try:
            shape, dtype = tuple(row["shape"]), str(row["dtype"])
            first, last = row["data_offsets"]
            bits = math.prod(shape) * _ITEM_BITS.get(dtype, 0)
        except (TypeError, KeyError, ValueError):
            raise ModelError(f"The file's table is damaged at tensor {name[:80]!r}.", hint=_AGAIN) from None
        integers = all(isinstance(value, int) and value >= 0 for value in (*shape, first, last))
        if not integers or first > last or (bits and (last - first) * 8 != bits):
            raise ModelError(f"The file's table is damaged at tensor {name[:80]!r}.", hint=_AGAIN)
        if last > first:
            places.append((first, last))
        shapes[name] = shape
        dtypes.add(dtype)
    places.sort()
    if any(before[1] > after[0] for before, after in pairwise(places)):
        raise ModelError("The file's table is damaged: two tensors lie on the same bytes.", hint=_AGAIN)
    end = places[-1][1] if places else 0
    if end > data_bytes:
        raise ModelError(f"The file is cut off: {end - data_bytes} bytes of its tensors are missing.", hint=_AGAIN)
    if not isinstance(metadata, dict):
        metadata = {}
    return Header(shapes, frozenset(dtypes), {str(key): str(value) for key, value in metadata.items()})
