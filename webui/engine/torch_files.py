"""Tensors of a file that PyTorch saved, mapped from it: the catalog's reader says where they lie; nothing is
unpickled.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path

import torch

from webui.catalog.torch_files import TensorSpec, read_torch

_DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "BOOL": torch.bool,
}


def load_torch(path: Path, prefixes: Iterable[str] = ("",)) -> dict[str, torch.Tensor]:
    """The tensors of ``path`` whose names begin with one of ``prefixes``, on the CPU.

    They stay mapped to the file, copy on write; those that shared a storage share memory, but where the legacy
    format leaves them unaligned: these are copies.
    Raises ModelError, OSError.
    """
    wanted = tuple(prefixes)
    specs = {name: spec for name, spec in read_torch(path).items() if name.startswith(wanted)}
    with path.open("rb") as stream:
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    return {name: _tensor(mapped, spec) for name, spec in specs.items()}


def _tensor(mapped: mmap.mmap, spec: TensorSpec) -> torch.Tensor:
    dtype = _DTYPES[spec.dtype]
    count = spec.storage_bytes // spec.item_bytes
    if count == 0 or 0 in spec.shape:
        return torch.empty(spec.shape, dtype=dtype)
    if spec.storage_start % spec.item_bytes == 0:
        flat = torch.frombuffer(mapped, dtype=dtype, count=count, offset=spec.storage_start)
    else:  # the legacy format aligns nothing
        copied = bytearray(mapped[spec.storage_start : spec.storage_start + spec.storage_bytes])
        flat = torch.frombuffer(copied, dtype=dtype, count=count)
    return flat.as_strided(spec.shape, spec.stride, spec.offset)
