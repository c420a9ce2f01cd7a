"""On activations [N,C,h,w]: what of them is style."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

_VARIANCE_MIN = 1e-5


def means(activations: Tensor) -> Tensor:
    """[N,C,1,1]."""
    return activations.mean(dim=(2, 3), keepdim=True)


def deviations(activations: Tensor) -> Tensor:
    """[N,C,1,1], never nothing."""
    return (activations.var(dim=(2, 3), keepdim=True, unbiased=False) + _VARIANCE_MIN).sqrt()


def adain(content: Tensor, style: Tensor) -> Tensor:
    """``content`` with the means and deviations of ``style`` (Huang and Belongie 2017, equation 8)."""
    return (content - means(content)) / deviations(content) * deviations(style) + means(style)


def fused(content: Tensor, styles: Sequence[Tensor], shares: Sequence[float | Tensor], alpha: float) -> Tensor:
    """The mean of ``content`` in each of ``styles`` by ``shares``, numbers or maps [1,1,h,w] of which those of a place
    are at most 1 in all; what they leave, and 1 - ``alpha`` of the rest, is ``content`` (equations 14 and 15).
    """
    moved = content
    for style, share in zip(styles, shares, strict=True):
        moved = moved + alpha * share * (adain(content, style) - content)
    return moved


def gram(activations: Tensor) -> Tensor:
    """[N,C,C]: products of the channels, the mean over places (Gatys et al. 2016, equation 3)."""
    flat = activations.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]
