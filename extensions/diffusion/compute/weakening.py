"""A denoiser made worse for the time of one call, so that a picture can be led away from what it then answers.

Perturbed attention: Ahn et al. 2024, "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance", equation
14. Smoothed energy: Hong 2024, "Smoothed Energy Guidance", section 4.2, with the blur's width at infinity, which is the
mean. Skipped layers: as Stable Diffusion 3.5 was published with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from . import attention
from .forwards import replaced

_SPAN = (0.3, 0.4)
"""Which share of a transformer's blocks is made worse: 7 to 9 of Stable Diffusion 3.5's 24, as published."""


@dataclass(frozen=True)
class Weakening:
    """How a denoiser is made worse, how much that counts, and in which share of the steps."""

    kind: str
    scale: float
    start: float = 0.0
    end: float = 1.0

    def counts(self, done: int, steps: int) -> bool:
        """Whether it does in the step after ``done`` of ``steps``."""
        share = done / max(1, steps)
        return self.scale > 0 and self.start <= share and (share < self.end or self.end >= 1.0)


@contextmanager
def weakened(denoiser: torch.nn.Module, kind: str) -> Iterator[None]:
    """Within, ``denoiser`` is worse by ``kind``: ``pag``, ``slg`` or ``seg``. It must be leased exclusively; afterwards
    it is as it was. Raises LookupError where it has no blocks with self-attention.
    """
    blocks = _middle(denoiser)
    if not blocks:
        raise LookupError(type(denoiser).__name__)
    with ExitStack() as stack:
        for block in blocks:
            own = _self_attention(block)
            if kind == "seg":
                stack.callback(own.to_q.register_forward_hook(_mean_query).remove)
                continue
            module, forward = (own, _identity) if kind == "pag" else (block, _skipped)
            stack.enter_context(replaced(module, forward))
        yield


def _middle(denoiser: torch.nn.Module) -> Sequence[Any]:
    """The blocks that are made worse: those in the middle of a UNet, or of a transformer's depth."""
    blocks = [(name, one) for name, one in denoiser.named_modules() if _self_attention(one) is not None]
    middle = [one for name, one in blocks if name.startswith("mid_block.")]
    if middle:
        return middle
    count = len(blocks)
    first = min(round(_SPAN[0] * count), max(0, count - 1))
    last = max(first + 1, -(-int(10 * _SPAN[1]) * count // 10))
    return [one for _, one in blocks[first:last]]


def _self_attention(block: torch.nn.Module) -> Any:
    """The attention of a transformer's block among the positions of the picture; None in anything else."""
    found = getattr(block, "attn1", None) or getattr(block, "attn", None)
    is_one = (
        isinstance(found, torch.nn.Module) and hasattr(found, "to_q") and not getattr(found, "is_cross_attention", 0)
    )
    return found if is_one else None


def _mean_query(_layer: Any, _args: Any, query: torch.Tensor) -> torch.Tensor:
    return query.mean(dim=1, keepdim=True).expand_as(query)


def _skipped(block: Any, _inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a block is given, as if it were its answer."""
    hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
    if getattr(_self_attention(block), "added_kv_proj_dim", None) is None:
        return hidden
    return (kwargs["encoder_hidden_states"] if "encoder_hidden_states" in kwargs else args[1]), hidden


def _identity(_module: Any, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Attention in which a position of the picture sees no other one; those of the text beside are seen."""
    hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
    positions = hidden.shape[1] if hidden.ndim == 3 else hidden.shape[-2] * hidden.shape[-1]
    # Another backend would compute it where it is not seen.
    with attention.using(attention.NATIVE, ()), _Alone(int(positions)):
        return inner(*args, **kwargs)


class _Alone(TorchFunctionMode):
    """Within, the first ``positions`` rows of an attention do not see one another."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self._positions = positions

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is not scaled_dot_product_attention:
            return func(*args, **options)
        query, key, value = (
            args[place] if place < len(args) else options[name] for place, name in enumerate(("query", "key", "value"))
        )
        if key.shape[2] == self._positions:
            return value
        seen = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        seen[: self._positions, : self._positions] = torch.eye(self._positions, dtype=torch.bool, device=query.device)
        return scaled_dot_product_attention(query, key, value, attn_mask=seen)
