"""From a file that PyTorch saved to the same tensors as safetensors: written beside, read back, then put in place."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from webui.core.errors import Conflict, ModelError

from .torch_files import load_torch


def convert(source: Path, target: Path, *, half: bool = False) -> int:
    """Write the tensors of ``source`` to ``target``; how many there are. ``half`` stores floats as float16.

    Tensors that share memory are stored each by itself, which the format asks for. Nothing of ``source`` is run.
    Raises ModelError, Conflict where ``target`` is there already, OSError.
    """
    if target.exists():
        raise Conflict(f"{target} is there already.", hint="Name another file with --out, or delete this one first.")
    tensors: dict[str, torch.Tensor] = {}
    places: set[int] = set()
    for name, tensor in load_torch(source).items():
        stored = _stored(name, tensor, half)
        tensors[name] = stored.clone() if stored.data_ptr() in places else stored
        places.add(stored.data_ptr())
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, temporary, metadata={"format": "pt"})
        _verify(temporary, tensors)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return len(tensors)


def _stored(name: str, tensor: torch.Tensor, half: bool) -> torch.Tensor:
    if not half or tensor.dtype not in (torch.float32, torch.float64, torch.bfloat16):
        return tensor.contiguous() if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()
    halved = tensor.to(torch.float16)
    if bool(torch.isinf(halved).any()) and not bool(torch.isinf(tensor).any()):
        raise ModelError(f"Tensor {name!r} has values beyond float16's 65504.", hint="Convert without --fp16.")
    return halved.contiguous()


def _verify(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Raises ModelError where the file does not give back ``tensors``, bit for bit."""
    with safe_open(str(path), framework="pt") as file:
        if set(file.keys()) != set(tensors):
            raise ModelError("The written file does not hold the tensors of the original; it was removed.")
        for name, tensor in tensors.items():
            found = file.get_tensor(name)
            if (
                found.dtype != tensor.dtype
                or found.shape != tensor.shape
                or not torch.equal(_bytes(found), _bytes(tensor))
            ):
                raise ModelError(f"Tensor {name!r} did not come back as it was written; the file was removed.")


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a contiguous tensor, uint8 [N]; NaN equals itself in them."""
    return tensor.reshape(-1).view(torch.uint8)
