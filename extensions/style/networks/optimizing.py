"""Above encoders and statistics: a picture found step by step (Gatys, Ecker and Bethge, Image Style Transfer Using
Convolutional Neural Networks, 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .encoder import Encoder
from .statistics import gram


@dataclass(frozen=True)
class Search:
    """How it is looked for: ``way`` is lbfgs or adam; ``style`` the weight of style against content, which has 1;
    ``smoothness`` that of total variation.
    """

    way: str = "lbfgs"
    steps: int = 100
    style: float = 100.0
    smoothness: float = 0.1
    rate: float = 0.03


_EDGE = 1 / 512
"""Of 0..1: half a level of 8 bits, where logits end."""
_EVALUATIONS = 20
"""Of a step at most. By itself PyTorch allows one for each step: none is left to search along the line with, a step
that went too far is taken back, and so are all after it.
"""


@torch.no_grad()
def style_targets(encoder: Encoder, references: Sequence[Tensor], shares: Sequence[float]) -> dict[int, Tensor]:
    """Tap -> the weighted mean [1,C,C] of the references' Gram matrices."""
    found: dict[int, Tensor] = {}
    for picture, share in zip(references, shares, strict=True):
        for place, activations in encoder(picture, encoder.plan.taps).items():
            found[place] = found.get(place, torch.zeros(())) + share * gram(activations)
    return found


def losses(encoder: Encoder, picture: Tensor, content: Tensor, styles: Mapping[int, Tensor]) -> tuple[Tensor, Tensor]:
    """How far ``picture`` [1,3,H,W] in 0..1 is from the content's activations and from the Gram matrices.

    Both are relative to the size of what is wanted, so that weights mean the same for any encoder and picture: the
    mean over the taps for style (equations 1, 4 and 5 but for these factors).
    """
    activations = encoder(picture)
    found = activations[encoder.plan.content]
    kept = functional.mse_loss(found, content) / content.square().mean().clamp(min=1e-8)
    ratios = [
        functional.mse_loss(gram(activations[place]), wanted) / wanted.square().mean().clamp(min=1e-8)
        for place, wanted in styles.items()
    ]
    return kept, torch.stack(ratios).mean()


def total_variation(picture: Tensor) -> Tensor:
    """The mean square of differences between neighbours."""
    across = (picture[..., 1:] - picture[..., :-1]).square().mean()
    return across + (picture[..., 1:, :] - picture[..., :-1, :]).square().mean()


def search(
    encoder: Encoder,
    start: Tensor,
    content: Tensor,
    styles: Mapping[int, Tensor],
    how: Search,
    told: Callable[[int, Tensor], None],
) -> Tensor:
    """From ``start`` [1,3,H,W] in 0..1 to a picture near ``content`` (activations) and ``styles`` (Gram matrices).

    ``told(step, picture)`` is called at each step and may raise to end it.
    """
    by_curvature = how.way == "lbfgs"
    # L-BFGS learns from differences of steps, which clamping would falsify: it moves logits, which have no bounds.
    free = torch.logit(start.clamp(_EDGE, 1 - _EDGE)) if by_curvature else start
    free = free.contiguous().clone().requires_grad_(True)

    def picture() -> Tensor:
        return torch.sigmoid(free) if by_curvature else free

    def loss() -> Tensor:
        free.grad = None
        shown = picture()
        kept, styled = losses(encoder, shown, content, styles)
        whole = kept + how.style * styled + how.smoothness * total_variation(shown)
        whole.backward()
        return whole

    optimizer: torch.optim.Optimizer
    if by_curvature:
        optimizer = torch.optim.LBFGS(
            [free],
            max_iter=1,
            max_eval=_EVALUATIONS,
            history_size=20,
            tolerance_grad=0,
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )
    else:
        optimizer = torch.optim.Adam([free], lr=how.rate)
    for step in range(how.steps):
        optimizer.step(loss)
        if not by_curvature:
            with torch.no_grad():
                free.clamp_(0, 1)
        told(step + 1, picture().detach())
    return picture().detach()
