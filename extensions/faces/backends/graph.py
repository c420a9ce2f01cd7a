"""What an ONNX file takes and is made of: the names and shapes of its inputs, the operators of its graph (protocol
buffers, onnx.proto).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webui.api import ModelError

Shape = tuple[int, ...]
_GRAPH, _INPUT, _INITIALIZER, _NODE, _OPERATOR = 7, 11, 5, 1, 4
_NAME, _TYPE, _TENSOR, _SHAPE, _DIM, _VALUE = 1, 2, 1, 2, 1, 1
_TENSOR_NAME = 8


def inputs_of(path: Path) -> dict[str, Shape]:
    """Input -> shape; 0 for a side that is open. Raises ModelError for what is no ONNX file."""
    with _readable(path):
        weights, found = set(), {}
        for number, value in _graph(path):
            if number == _INITIALIZER:
                weights |= {bytes(name).decode() for key, name in fields(value) if key == _TENSOR_NAME}
            elif number == _INPUT:
                name, shape = _input(value)
                found[name] = shape
    # Older files list their weights among the inputs.
    return {name: shape for name, shape in found.items() if name not in weights}


def operators_of(path: Path) -> frozenset[str]:
    """The operators that a graph uses, such as ``GridSample``. Raises ModelError for what is no ONNX file."""
    with _readable(path):
        nodes = [value for number, value in _graph(path) if number == _NODE]
        return frozenset(bytes(name).decode() for node in nodes for key, name in fields(node) if key == _OPERATOR)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (StopIteration, ValueError, IndexError, TypeError, OSError) as error:
        raise ModelError(f"{path.name} cannot be read as an ONNX file.") from error


def _graph(path: Path) -> Iterator[tuple[int, memoryview]]:
    return fields(next(value for number, value in fields(memoryview(path.read_bytes())) if number == _GRAPH))


def fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields of a message: number, and bytes; a number as its varint's bytes. Raises ValueError, IndexError."""
    place = 0
    while place < len(message):
        key, place = varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            start = place
            _, place = varint(message, place)
            yield number, message[start:place]
            continue
        if kind == 2:
            size, place = varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"unknown kind of field {kind}")
        if place + size > len(message):
            raise ValueError("a field is longer than its message")
        yield number, message[place : place + size]
        place += size


def varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number and the place after it. Raises IndexError, ValueError."""
    value = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of more than ten bytes")


def _input(value: memoryview) -> tuple[str, Shape]:
    name, shape = "", ()
    for number, part in fields(value):
        if number == _NAME:
            name = bytes(part).decode()
        elif number == _TYPE:
            shape = _shape(part)
    return name, shape


def _shape(kind: memoryview) -> Shape:
    for number, tensor in fields(kind):
        if number != _TENSOR:
            continue
        for key, shape in fields(tensor):
            if key == _SHAPE:
                return tuple(_side(side) for place, side in fields(shape) if place == _DIM)
    return ()


def _side(dim: memoryview) -> int:
    return next((varint(value, 0)[0] for number, value in fields(dim) if number == _VALUE), 0)
