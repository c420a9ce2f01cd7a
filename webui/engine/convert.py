"""From a file that PyTorch saved to the same tensors as safetensors: written beside, tensor by tensor, read back, then
put in place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import safe_open

from webui.core.errors import Conflict, ModelError

from .torch_files import load_torch

Progress = Callable[[int, int], None]
"""(done, all) of what is written and read back; it may raise Cancelled."""

_NAMES: Mapping[torch.dtype, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int64: "I64",
    torch.uint64: "U64",
    torch.int32: "I32",
    torch.uint32: "U32",
    torch.int16: "I16",
    torch.uint16: "U16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def convert(source: Path, target: Path, *, half: bool = False, progress: Progress = lambda done, total: None) -> int:
    """Write the tensors of ``source`` to ``target``; how many there are. ``half`` stores floats as float16.

    Tensors that share memory are stored each by itself, which the format asks for. No more than one tensor is in memory
    beside what is mapped. Nothing of ``source`` is run. Raises ModelError, Conflict where ``target`` is there already,
    OSError, what ``progress`` raises.
    """
    if target.exists():
        raise Conflict(f"{target} is there already.", hint="Name another file with --out, or delete this one first.")
    tensors = load_torch(source)
    # The widest first: each then begins where its type may lie.
    names = sorted(tensors, key=lambda name: (-_kept(tensors[name], half).itemsize, name))
    total = 2 * len(names)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            _write_table(stream, {name: tensors[name] for name in names}, half)
            for done, name in enumerate(names):
                stream.write(_bytes(_stored(name, tensors[name], half)).numpy().data)
                progress(done + 1, total)
            stream.flush()
            os.fsync(stream.fileno())
        _verify(temporary, tensors, half, lambda done: progress(len(names) + done, total))
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return len(names)


def _write_table(stream: BinaryIO, tensors: Mapping[str, torch.Tensor], half: bool) -> None:
    """The table that safetensors begin with, padded to whole 8 bytes."""
    table: dict[str, object] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, tensor in tensors.items():
        dtype = _kept(tensor, half)
        size = tensor.numel() * dtype.itemsize
        table[name] = {"dtype": _NAMES[dtype], "shape": list(tensor.shape), "data_offsets": [place, place + size]}
        place += size
    raw = json.dumps(table, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    stream.write(len(raw).to_bytes(8, "little") + raw)


def _kept(tensor: torch.Tensor, half: bool) -> torch.dtype:
    """The type that ``tensor`` is stored in."""
    return torch.float16 if half and tensor.dtype in (torch.float32, torch.float64, torch.bfloat16) else tensor.dtype


def _stored(name: str, tensor: torch.Tensor, half: bool) -> torch.Tensor:
    """``tensor`` as it is stored, contiguous. Raises ModelError for values that do not fit."""
    kept = tensor.to(_kept(tensor, half))
    if kept.dtype != tensor.dtype and bool(torch.isinf(kept).any()) and not bool(torch.isinf(tensor).any()):
        raise ModelError(
            f"Tensor {name!r} has values beyond float16's 65504.", hint="Convert without 16 bits (--fp16)."
        )
    return kept.contiguous()


def _verify(path: Path, tensors: Mapping[str, torch.Tensor], half: bool, progress: Callable[[int], None]) -> None:
    """Raises ModelError where the file does not give back ``tensors``, bit for bit."""
    with safe_open(str(path), framework="pt") as file:
        if set(file.keys()) != set(tensors):
            raise ModelError("The written file does not hold the tensors of the original; it was removed.")
        for done, (name, tensor) in enumerate(tensors.items()):
            found, expected = file.get_tensor(name), _stored(name, tensor, half)
            if (
                found.dtype != expected.dtype
                or found.shape != expected.shape
                or not torch.equal(_bytes(found), _bytes(expected))
            ):
                raise ModelError(f"Tensor {name!r} did not come back as it was written; the file was removed.")
            progress(done + 1)


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a contiguous tensor, uint8 [N]; NaN equals itself in them."""
    return tensor.reshape(-1).view(torch.uint8)
