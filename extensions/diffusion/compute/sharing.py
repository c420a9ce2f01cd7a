"""Rows of a denoiser's call that look at one another in its self-attention: a picture takes over what others are made
of, without training.

Shared attention: Hertz et al. 2024, "Style Aligned Image Generation via Shared Attention", section 4.1. Injection:
Chung et al. 2024, "Style Injection in Diffusion", sections 3.2 and 3.3. Both are seen at the kernel, so that whatever
processor computes the layer is reached.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from . import attention
from .forwards import replaced

_EPS = 1e-5


class Coupling(Protocol):
    """How the last picture of a call sees those before it."""

    def counts(self, layer: str) -> bool:
        """Whether it does in the self-attention of that name."""

    def attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """The last picture's attention [rows, heads, positions, dimension], of all pictures' [pictures, rows, heads,
        positions, dimension].
        """


@dataclass(frozen=True)
class SharedAttention:
    """Pictures: reference, own. ``weight``: how much the reference's positions count against the own ones."""

    weight: float = 1.0
    normalised: bool = True
    """Whether queries and keys take the statistics of the reference's (equations 4 and 5)."""

    def counts(self, layer: str) -> bool:
        return True

    def attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        own_query, own_key = query[1], key[1]
        if self.normalised:
            own_query, own_key = like(own_query, query[0], dim=-2), like(own_key, key[0], dim=-2)
        keys, values = torch.cat([key[0], own_key], dim=-2), torch.cat([value[0], value[1]], dim=-2)
        mask = None
        if self.weight != 1:
            shift = math.log(self.weight) if self.weight > 0 else -math.inf
            mask = torch.zeros(1, keys.shape[-2], dtype=query.dtype, device=query.device)
            mask[:, : key.shape[-2]] = shift
            mask = mask.expand(query.shape[-2], -1)
        return scaled_dot_product_attention(own_query, keys, values, attn_mask=mask)


@dataclass(frozen=True)
class Injection:
    """Pictures: content, style, own. The keys and values are the style's (equation 4), the queries lean on the
    content's by ``preservation`` (gamma, equation 5), and the scores are multiplied by ``temperature`` (tau, equation
    6), which is above 1 because the mix had made them even.
    """

    preservation: float = 0.75
    temperature: float = 1.5
    layers: frozenset[str] = frozenset()

    def counts(self, layer: str) -> bool:
        return layer in self.layers

    def attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        mixed = self.preservation * query[0] + (1 - self.preservation) * query[2]
        return scaled_dot_product_attention(self.temperature * mixed, key[1], value[1])


def like(values: torch.Tensor, others: torch.Tensor, dim: int | tuple[int, ...]) -> torch.Tensor:
    """``values`` with the means and deviations of ``others`` over ``dim`` (Huang and Belongie 2017, equation 8)."""
    spread = (values.var(dim=dim, keepdim=True, unbiased=False) + _EPS).sqrt()
    theirs = (others.var(dim=dim, keepdim=True, unbiased=False) + _EPS).sqrt()
    centred = values - values.mean(dim=dim, keepdim=True)
    return centred / spread * theirs + others.mean(dim=dim, keepdim=True)


def like_at_own_strength(noise: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Noise [N,C,h,w] with the means of another's channels and the proportions of their deviations, which stay as large
    on average as they were.

    A picture that a model did not learn comes back as noise far from deviation 1 (textures on the starter: 1.5 to 1.8,
    drawings 0.75), and nothing but blotches is drawn from that. Where both are alike, this is ``like``.
    """
    own, theirs = (
        one.std(dim=(2, 3), keepdim=True, unbiased=False).mean((1, 2, 3), keepdim=True) for one in (noise, other)
    )
    means = other.mean(dim=(2, 3), keepdim=True)
    return (like(noise, other, dim=(2, 3)) - means) * (own / (theirs + _EPS)) + means


def self_attentions(unet: torch.nn.Module) -> dict[str, Any]:
    """Name -> the attention of a UNet's picture to itself, from its input on."""
    return {
        name: one for name, one in unet.named_modules() if name.endswith(".attn1") and isinstance(one, torch.nn.Module)
    }


def finer_upward(names: Sequence[str]) -> frozenset[str]:
    """Those of the blocks on the way up but the coarsest of them, as Chung et al. chose in Stable Diffusion 1 (its
    output blocks 6 to 11); all on the way up where there is but one such block.
    """
    upward = [name for name in names if name.startswith("up_blocks.")]
    blocks = list(dict.fromkeys(name.split(".")[1] for name in upward))
    chosen = blocks[1:] or blocks
    return frozenset(name for name in upward if name.split(".")[1] in chosen)


@contextmanager
def coupled(unet: torch.nn.Module, coupling: Coupling, pictures: int) -> Iterator[None]:
    """Within, rows of a call of ``unet`` are ``pictures`` one after the other, as many rows each, of which the last
    sees the others by ``coupling``; these compute what they do alone. It must be leased exclusively.
    """

    def forward(_module: Any, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Another backend would compute it where it is not seen.
        with attention.using(attention.NATIVE, ()), _Coupled(coupling, pictures):
            return inner(*args, **kwargs)

    with ExitStack() as stack:
        for name, module in self_attentions(unet).items():
            if coupling.counts(name):
                stack.enter_context(replaced(module, forward))
        yield


class _Coupled(TorchFunctionMode):
    """Within, torch's scaled dot product attention is that of a coupling for the last picture's rows."""

    def __init__(self, coupling: Coupling, pictures: int) -> None:
        super().__init__()
        self._coupling, self._pictures = coupling, pictures

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is not scaled_dot_product_attention:
            return func(*args, **options)
        query, key, value = (
            args[place] if place < len(args) else options[name] for place, name in enumerate(("query", "key", "value"))
        )
        with torch._C.DisableTorchFunction():
            apart = [one.unflatten(0, (self._pictures, -1)) for one in (query, key, value)]
            others = slice(0, query.shape[0] - apart[0].shape[1])
            alone = scaled_dot_product_attention(query[others], key[others], value[others])
            return torch.cat([alone, self._coupling.attended(*apart)])
