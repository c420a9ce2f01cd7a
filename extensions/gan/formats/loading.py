"""From a model of the list to its network: chooses the reader, builds, fills in the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from extensions.gan.networks.registry import build
from extensions.gan.recognise import TITLES, declared
from webui.api import ModelError

from .names import Contents, below
from .others import read_biggan_deep, read_dcgan
from .rosinality import read_rosinality
from .stylegan import read_stylegan2, read_stylegan3
from .taming import read_taming

_CENTRE_SAMPLES = 10_000


class Files(Protocol):
    """What of ``webui.api.Models`` the readers need."""

    def open_weights(self, path: Path, prefixes: Any = ("",)) -> dict[str, Any]: ...
    def values(self, path: Path, prefix: str = "") -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Loaded:
    """A network in evaluation mode, float32, on the CPU, and what it is."""

    network: nn.Module
    family: str
    config: Mapping[str, Any]


def load(files: Files, path: Path, family: str) -> Loaded:
    """``family`` as the list of models says it. Raises ModelError, OSError."""
    contents = read(files, path, family)
    try:
        with torch.device("meta"):
            network = build(contents.family, contents.config)
        state = {
            name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in contents.state.items()
        }
        network.load_state_dict(state, assign=True)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        words = " ".join(str(error).split())[:400]
        raise ModelError(f"{path.name} does not fit {TITLES.get(contents.family, contents.family)}: {words}") from None
    network.requires_grad_(False).eval()
    if contents.derive_centre:
        _derive_centre(network)
    return Loaded(network, contents.family, contents.config)


def read(files: Files, path: Path, family: str) -> Contents:
    """The file's contents in our own terms."""
    stated = declared(path)
    if stated is not None:
        return Contents(stated[0], stated[1], files.open_weights(path))
    if family in ("stylegan2", "stylegan3"):
        return _stylegan(files, path, family)
    if family == "stylegan2_rosinality":
        return read_rosinality(files.open_weights(path, ("g_ema.", "latent_avg")))
    if family == "biggan_deep":
        return read_biggan_deep(_bare(files.open_weights(path)), path)
    if family == "dcgan":
        return read_dcgan(_bare(files.open_weights(path)))
    if family in ("taming", "taming_prior"):
        return read_taming(_bare(files.open_weights(path)), path)
    raise ModelError(
        f"{path.name} is of no kind that is read here" + (f" ({family})." if family else "."),
        hint="docs/gans.md lists the formats.",
    )


def _bare(state: dict[str, Any]) -> dict[str, Any]:
    """Without the ``state_dict.`` that some writers put around."""
    return below(state, "state_dict.") or state


def _stylegan(files: Files, path: Path, family: str) -> Contents:
    state = below(files.open_weights(path, ("G_ema.",)), "G_ema.")
    values: Mapping[str, Any] = {}
    if path.suffix.lower() != ".safetensors":
        prefix = "G_ema._init_kwargs."
        values = {name.removeprefix(prefix): value for name, value in files.values(path, prefix).items()}
    return (read_stylegan2 if family == "stylegan2" else read_stylegan3)(state, values)


@torch.no_grad()
def _derive_centre(network: nn.Module) -> None:
    """The mean of w over points drawn with a fixed seed, for files that do not hold it."""
    mapping = network.get_submodule("mapping")
    z = torch.randn((_CENTRE_SAMPLES, network.z_dim), generator=torch.Generator().manual_seed(0))
    mapping.w_avg = mapping(z)[:, 0].mean(0)
