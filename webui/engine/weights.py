"""Opens any weights file for whoever builds a module of it: from a path to tensors that stay mapped to the file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from webui.catalog.scan import PICKLE_ENDINGS
from webui.core.errors import ModelError

from .torch_files import load_torch


def open_weights(path: Path, prefixes: Iterable[str] = ("",)) -> dict[str, torch.Tensor]:
    """The tensors of ``path`` whose names begin with one of ``prefixes``, on the CPU, in the precision of the file.

    safetensors, or what PyTorch saved; of the latter nothing is run. Raises ModelError, OSError.
    """
    ending, wanted = path.suffix.lower(), tuple(prefixes)
    if ending in PICKLE_ENDINGS:
        return load_torch(path, wanted)
    if ending != ".safetensors":
        raise ModelError(f"{path.name} is no safetensors and no PyTorch file; its tensors cannot be taken one by one.")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            names = [name for name in file.keys() if name.startswith(wanted)]  # noqa: SIM118 - not a dict
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ModelError(f"{path.name} is damaged: {error}.", hint="Fetch the file again.") from None
