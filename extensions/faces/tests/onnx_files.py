"""Small ONNX files for tests, written as protocol buffers by hand (onnx.proto, opset 11)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

Node = tuple[str, Sequence[str], str, Mapping[str, Sequence[int] | int]]
"""Operator, inputs, output, attributes."""


def number(value: int) -> bytes:
    parts = []
    while True:
        parts.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(parts)


def field(key: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    raw = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(raw)) + raw


def value_info(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(field(1, field(1, side)) for side in shape)
    tensor = field(1, 1) + field(2, dims)
    return field(1, name) + field(2, field(1, tensor))


def constant(name: str, value: float) -> bytes:
    return field(1, 1) + field(2, 1) + field(8, name) + field(9, struct.pack("<f", value))


def attribute(name: str, value: Sequence[int] | int) -> bytes:
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + b"".join(field(8, one) for one in value) + field(20, 7)


def node(one: Node) -> bytes:
    operator, inputs, output, attributes = one
    told = b"".join(field(1, name) for name in inputs) + field(2, output) + field(3, output) + field(4, operator)
    return told + b"".join(field(5, attribute(*row)) for row in attributes.items())


def write_onnx(
    path: Path,
    inputs: Mapping[str, Sequence[int]],
    nodes: Sequence[Node],
    output: Sequence[int],
    constants: Mapping[str, float] | None = None,
) -> Path:
    """A graph whose last node's output is its own, of this shape."""
    graph = b"".join(field(1, node(one)) for one in nodes) + field(2, "test")
    graph += b"".join(field(5, constant(*row)) for row in (constants or {}).items())
    graph += b"".join(field(11, value_info(*row)) for row in inputs.items())
    graph += field(12, value_info(nodes[-1][2], output))
    model = field(1, 6) + field(7, graph) + field(8, field(1, "") + field(2, 11))
    path.write_bytes(model)
    return path


def mean_of_both(path: Path, size: int = 128) -> Path:
    """target and source [1,3,S,S] -> their mean."""
    shape = (1, 3, size, size)
    nodes: list[Node] = [
        ("Add", ("target", "source"), "sum", {}),
        ("Mul", ("sum", "half"), "output", {}),
    ]
    return write_onnx(path, {"target": shape, "source": shape}, nodes, shape, {"half": 0.5})


def coloured_by_vector(path: Path, size: int = 128) -> Path:
    """target [1,3,S,S] and source [1,3] -> the target with its channels multiplied by the vector."""
    shape = (1, 3, size, size)
    nodes: list[Node] = [
        ("Unsqueeze", ("source",), "tall", {"axes": (2,)}),
        ("Unsqueeze", ("tall",), "wide", {"axes": (3,)}),
        ("Mul", ("target", "wide"), "output", {}),
    ]
    return write_onnx(path, {"target": shape, "source": (1, 3)}, nodes, shape)


def mean_colour(path: Path) -> Path:
    """A face [1,3,112,112] -> its mean colour [1,3]."""
    nodes: list[Node] = [
        ("GlobalAveragePool", ("face",), "mean", {}),
        ("Flatten", ("mean",), "vector", {"axis": 1}),
    ]
    return write_onnx(path, {"face": (1, 3, 112, 112)}, nodes, (1, 3))
