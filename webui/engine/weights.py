"""Opens any weights file for whoever builds a module of it: from a path to tensors that stay mapped to the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from webui.catalog.catalog import Catalog, read_table
from webui.catalog.entry import PICKLE_ENDINGS, ModelEntry
from webui.catalog.torch_files import torch_values
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


def read_values(path: Path, prefix: str = "") -> Mapping[str, Any]:
    """See ``webui.api.Models.values``."""
    if path.suffix.lower() not in PICKLE_ENDINGS:
        raise ModelError(f"{path.name} is nothing that PyTorch saved: it holds no values beside its tensors.")
    return torch_values(path, prefix)


@dataclass(frozen=True)
class ModelFiles:
    """The part of ``webui.api.Models`` that looks at files: what is listed, and what lies in it."""

    catalog: Catalog

    def listed(self, kind: str = "") -> tuple[ModelEntry, ...]:
        """See ``webui.api.Models.listed``."""
        return tuple(entry for entry in self.catalog.entries(kind) if entry.usable)

    def shapes(self, path: Path) -> Mapping[str, tuple[int, ...]]:
        """See ``webui.api.Models.shapes``."""
        return read_table(path).shapes

    def open_weights(self, path: Path, prefixes: Iterable[str] = ("",)) -> dict[str, torch.Tensor]:
        """See ``webui.api.Models.open_weights``."""
        return open_weights(path, prefixes)

    def values(self, path: Path, prefix: str = "") -> Mapping[str, Any]:
        """See ``webui.api.Models.values``."""
        return read_values(path, prefix)
