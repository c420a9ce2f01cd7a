"""Between a pipeline and its denoiser: other ways of guidance than the plain one, computed by diffusers' own functions.

A pipeline's guidance is negative + scale * (answer - negative). Where both halves answer with the guided prediction
itself, that is what it comes to: any pipeline that asks for both at once is reached.
"""

from __future__ import annotations

from typing import Any

import torch

PLAIN = "plain"
_APG = {"eta": 0.0, "norm_threshold": 15.0}
"""Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of High Guidance Scales", table 1, for SDXL."""
_APG_MOMENTUM = -0.5
_ZERO_STEPS = 1


def takes(class_name: str) -> bool:
    """Whether pipelines of that class ask their denoiser for both halves at once, the negative one first."""
    return class_name.startswith("StableDiffusion") and "Pix2Pix" not in class_name


class Guided(torch.nn.Module):
    """A denoiser in whose place it stands in a pipeline for one call, for ``count`` pictures."""

    def __init__(self, inner: Any, method: str, scale: float, count: int, *, flow: bool) -> None:
        """``flow``: whether the denoiser predicts a velocity, of which zero means that nothing moves."""
        super().__init__()
        self.inner = inner
        self._method, self._scale, self._count, self._flow = method, scale, count, flow
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
        if prediction.shape[0] != 2 * self._count:
            return answer
        negative, positive = prediction.chunk(2)
        guided = self._guided(positive, negative)
        self._calls += 1
        return (torch.cat([guided, guided]), *answer[1:])

    def _guided(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        if self._method == "zero":
            return self._zero_star(positive, negative)
        if self._method == "projected":
            from diffusers.guiders.adaptive_projected_guidance import normalized_guidance

            guided: torch.Tensor = normalized_guidance(positive, negative, self._scale, self._momentum, **_APG)
            return guided
        from diffusers.guiders.tangential_classifier_free_guidance import normalized_guidance as tangential

        damped: torch.Tensor = tangential(positive, negative, self._scale)
        return damped

    def _zero_star(self, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """Fan et al. 2025, "CFG-Zero*", equation 7; the first step stands still where velocities are predicted."""
        from diffusers.guiders.classifier_free_zero_star_guidance import cfg_zero_star_scale

        if self._flow and self._calls < _ZERO_STEPS:
            return torch.zeros_like(positive)
        share = cfg_zero_star_scale(positive.flatten(1), negative.flatten(1))
        scaled = negative * share.view(-1, *[1] * (negative.ndim - 1))
        return scaled + self._scale * (positive - scaled)
