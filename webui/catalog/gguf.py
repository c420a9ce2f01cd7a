"""Reads the table of a GGUF file: names, shapes and quantization of its tensors, and the metadata before them.

The format is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from webui.core.errors import ModelError

from .headers import HEADER_LIMIT_BYTES, Header

_COUNT_LIMIT = 1_000_000
_NUMBERS: Mapping[int, str] = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_TEXT, _ARRAY = 8, 9
_TYPES: Mapping[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    30: ("BF16", 1, 2),
}
"""Type -> (name, items in a block, bytes of a block)."""


def gguf_header(path: Path) -> Header:
    """The table of ``path``, checked against the file's length. Shapes are in PyTorch's order, the slowest axis first.
    Raises ModelError, OSError.
    """
    size_bytes = path.stat().st_size
    with path.open("rb") as stream:
        reader = _Reader(stream, min(size_bytes, HEADER_LIMIT_BYTES))
        if reader.take(4) != b"GGUF":
            raise ModelError("The file does not begin like GGUF.")
        version = reader.number("<I")
        if version not in (2, 3):
            raise ModelError(f"The file is GGUF of version {version}; 2 and 3 are known.")
        tensors, pairs = reader.count(), reader.count()
        metadata = {}
        for _ in range(pairs):
            key = reader.text()
            metadata[key] = reader.value(reader.number("<I"))
        rows = [_row(reader) for _ in range(tensors)]
        start = _aligned(stream.tell(), metadata.get("general.alignment", "32"))
    if len({name for name, *_ in rows}) != len(rows):
        raise ModelError("The file's table names a tensor twice.")
    missing = max((start + offset + size - size_bytes for _, _, _, offset, size in rows), default=0)
    if missing > 0:
        raise ModelError(f"The file is cut off: {missing} bytes of its tensors are missing.")
    return Header({row[0]: row[1] for row in rows}, frozenset(row[2] for row in rows), metadata)


def _aligned(place: int, alignment: str) -> int:
    """Where the tensors begin. Raises ModelError for an alignment that is no power of two within reason."""
    if alignment not in ("1", "2", "4", "8", "16", "32", "64", "128", "256", "4096"):
        raise ModelError(f"The file's tensors are aligned by {alignment[:20]!r}, which no program writes.")
    return -(-place // int(alignment)) * int(alignment)


def _row(reader: _Reader) -> tuple[str, tuple[int, ...], str, int, int]:
    """Name, shape, type, place and length of one tensor; the length is 0 where the type is not known."""
    name = reader.text()
    axes = reader.number("<I")
    if axes > 8:
        raise ModelError(f"The file's table is damaged at tensor {name[:80]!r}.")
    shape = tuple(int(reader.number("<Q")) for _ in range(axes))
    kind, offset = int(reader.number("<I")), int(reader.number("<Q"))
    words, block, block_bytes = _TYPES.get(kind, (f"GGML_{kind}", 1, 0))
    items = 1
    for size in shape:
        items *= size
    return name, shape[::-1], words, offset, -(-items // block) * block_bytes


class _Reader:
    """Takes from ``stream`` what a GGUF table is made of, and never beyond ``end``."""

    def __init__(self, stream: BinaryIO, end: int) -> None:
        self._stream = stream
        self._end = end

    def take(self, size: int) -> bytes:
        if size > self._end - self._stream.tell():
            raise ModelError("The file is cut off or damaged: its table goes beyond its end.")
        return self._stream.read(size)

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def count(self) -> int:
        found = self.number("<Q")
        if found > _COUNT_LIMIT:
            raise ModelError(f"The file's table claims {found} rows; no model has so many.")
        return found

    def text(self) -> str:
        return self.take(self.number("<Q")).decode("utf-8", "replace")

    def value(self, kind: int, depth: int = 2) -> str:
        """A metadata value as text; of an array only its length, for tokenizers have long ones."""
        if kind == _TEXT:
            return self.text()
        if kind in _NUMBERS:
            return str(self.number(_NUMBERS[kind]))
        if kind != _ARRAY or depth == 0:
            raise ModelError(f"The file's metadata has a value of type {kind}, which GGUF does not know.")
        item, length = self.number("<I"), self.count_items()
        if item in _NUMBERS:
            self.take(length * struct.calcsize(_NUMBERS[item]))
        else:
            for _ in range(length):
                self.value(item, depth - 1)
        return f"{length} items"

    def count_items(self) -> int:
        """Of an array: at least a byte each, so no more than there are bytes left."""
        found = self.number("<Q")
        if found > self._end - self._stream.tell():
            raise ModelError("The file is cut off or damaged: its table goes beyond its end.")
        return found
