"""Spectral normalization (Miyato et al. 2018): put on a network that is trained, folded into one that is used."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

_KINDS = (nn.Conv2d, nn.Linear, nn.Embedding)


def normalize_spectra(network: nn.Module, eps: float = 1e-6) -> nn.Module:
    """Divide every convolution's, linear layer's and embedding's weight by its largest singular value, which one step
    of power iteration a forward pass follows; ``network`` itself is returned.
    """
    for module in list(_kinds(network)):
        if not parametrize.is_parametrized(module, "weight"):
            spectral_norm(module, eps=eps)
    return network


def fold_spectra(network: nn.Module) -> nn.Module:
    """Leave the divided weights as plain ones."""
    for module in list(_kinds(network)):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    return network


@torch.no_grad()
def folded_state(network: nn.Module) -> dict[str, Tensor]:
    """The state of ``network`` with its divided weights as plain ones; the network itself stays as it is, and so do
    copies of it, which share with it the class that ``fold_spectra`` changes.
    """
    state = {name: tensor for name, tensor in network.state_dict().items() if ".parametrizations." not in f".{name}"}
    for name, module in network.named_modules():
        if parametrize.is_parametrized(module, "weight"):
            state[f"{name}.weight"] = module.weight.detach().clone()
    return state


def _kinds(network: nn.Module) -> Iterator[nn.Module]:
    for module in network.modules():
        if isinstance(module, _KINDS):
            yield module


def folded(weight: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A stored weight [O,...] over sigma = u^T W v, for what was saved with its vectors u [O] and v [rest]."""
    sigma = torch.dot(u.float(), weight.float().flatten(1) @ v.float())
    if not torch.isfinite(sigma) or sigma == 0:
        raise ValueError("its spectral norm is not a number or zero")
    return weight / sigma.to(weight.dtype)
