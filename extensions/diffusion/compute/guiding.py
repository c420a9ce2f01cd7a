"""Between a pipeline and its denoiser: other ways of guidance than the plain one, computed by diffusers' own functions.

A pipeline's guidance is negative + scale * (answer - negative). Where both halves answer with the guided prediction
itself, that is what it comes to: any pipeline that asks for both at once is reached.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from .rows import picked
from .weakening import Weakening, weakened

PLAIN = "plain"
_APG = {"eta": 0.0, "norm_threshold": 15.0}
"""Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of High Guidance Scales", table 1, for SDXL."""
_APG_MOMENTUM = -0.5
_ZERO_STEPS = 1
_PIPELINES = ("StableDiffusion", "StableUnCLIP", "PixArt", "HunyuanDiT", "Kolors")


def takes(class_name: str) -> bool:
    """Whether pipelines of that class ask their denoiser for both halves at once, the negative one first."""
    return class_name.startswith(_PIPELINES) and "Pix2Pix" not in class_name


@dataclass(frozen=True)
class Way:
    """How the answers to a prompt become one prediction."""

    method: str = PLAIN
    scale: float = 1.0
    rescale: float = 0.0
    """Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", equation 15."""
    weakening: Weakening | None = None


class Guided(torch.nn.Module):
    """A denoiser in whose place it stands in a pipeline for one call, for ``count`` pictures."""

    def __init__(
        self,
        inner: Any,
        way: Way,
        count: int,
        *,
        flow: bool,
        steps: Callable[[], int] = lambda: 1,
        denoiser: Any = None,
    ) -> None:
        """``flow``: whether the denoiser predicts a velocity, of which zero means that nothing moves. ``steps``: how
        often the pipeline calls it, asked then, to know when a weakening counts. ``denoiser``: the module behind
        ``inner``, where that is another.
        """
        super().__init__()
        self.inner = inner
        self._way, self._count, self._flow, self._steps = way, count, flow, steps
        self._denoiser = (denoiser if denoiser is not None else inner,)  # no child twice
        self._momentum: Any = None
        self._calls = 0
        self.restart()

    def restart(self) -> None:
        """The pipeline begins anew."""
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer

        self._momentum = MomentumBuffer(_APG_MOMENTUM)
        self._calls = 0

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As the denoiser's."""
        answer = self.inner(*args, **kwargs)
        prediction = answer[0]
        rows = prediction.shape[0]
        if rows not in (self._count, 2 * self._count):
            return answer
        away = self._away(prediction[-self._count :], args, kwargs, rows)
        self._calls += 1
        if rows == self._count:
            return answer if away is None else (prediction + away, *answer[1:])
        negative, positive = prediction.chunk(2)
        guided = self._guided(positive, negative)
        if away is not None:
            guided = guided + away
        if self._way.rescale:
            guided = self._rescaled(guided, positive)
        return (torch.cat([guided, guided]), *answer[1:])

    def _away(self, positive: torch.Tensor, args: Any, kwargs: Any, rows: int) -> torch.Tensor | None:
        """What leads away from the answer of the denoiser made worse; None where that does not count now."""
        weakening = self._way.weakening
        if weakening is None or not weakening.counts(self._calls, self._steps()):
            return None
        # A composition is one of the halves against the other; a single text needs its own half alone.
        whole = rows if getattr(self.inner, "compares", False) else self._count
        part = slice(rows - whole, rows)
        again = getattr(self.inner, "again", nullcontext)
        with weakened(self._denoiser[0], weakening.kind), again():
            worse = self.inner(*picked(args, rows, part), **picked(kwargs, rows, part))[0][-self._count :]
        return weakening.scale * (positive - worse)

    def _guided(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        method, scale = self._way.method, self._way.scale
        if method == PLAIN:
            return negative + scale * (positive - negative)
        if method == "zero":
            return self._zero_star(positive, negative)
        if method == "projected":
            from diffusers.guiders.adaptive_projected_guidance import normalized_guidance

            guided: torch.Tensor = normalized_guidance(positive, negative, scale, self._momentum, **_APG)
            return guided
        from diffusers.guiders.tangential_classifier_free_guidance import normalized_guidance as tangential

        damped: torch.Tensor = tangential(positive, negative, scale)
        return damped

    def _zero_star(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """Fan et al. 2025, "CFG-Zero*", equation 7; the first step stands still where velocities are predicted."""
        from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale

        if self._flow and self._calls <= _ZERO_STEPS:
            return torch.zeros_like(positive)
        share = cfg_zero_star_scale(positive.flatten(1), negative.flatten(1))
        scaled = negative * share.view(-1, *[1] * (negative.ndim - 1))
        return scaled + self._way.scale * (positive - scaled)

    def _rescaled(self, guided: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        axes = tuple(range(1, guided.ndim))
        spread = guided.std(dim=axes, keepdim=True).clamp(min=1e-12)
        own = guided * (positive.std(dim=axes, keepdim=True) / spread)
        return self._way.rescale * own + (1 - self._way.rescale) * guided
