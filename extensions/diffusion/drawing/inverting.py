"""Between a picture's latent and the noise it would come from: deterministic steps along a model's noise levels, both
ways.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from webui.api import ModelError

Predict = Callable[[Tensor, int], Tensor]
"""(latents [N,C,h,w], timestep) -> the model's answer, float32 of that shape."""


@dataclass(frozen=True)
class Ladder:
    """DDIM's levels (Song et al. 2020, "Denoising Diffusion Implicit Models", equation 12 with sigma 0): rung 0 is the
    clean picture, the last one almost noise.
    """

    times: tuple[int, ...]
    """The timestep of each rung above the clean one."""
    signal: tuple[float, ...]
    """The cumulative product of alphas of each rung, 1 for the clean one."""
    prediction: str
    """What the model answers: epsilon, v_prediction or sample."""

    @classmethod
    def of(cls, scheduler_config: Any, steps: int) -> Ladder:
        """Of a model's own betas. Raises ModelError for flow models, which have none."""
        from diffusers import DDIMScheduler

        prediction = scheduler_config.get("prediction_type", "epsilon")
        if "beta_start" not in scheduler_config or prediction not in ("epsilon", "v_prediction", "sample"):
            raise ModelError(
                "This model has no noise levels that DDIM can go back along.",
                hint="Use Stable Diffusion or the starter.",
            )
        known = {k: v for k, v in dict(scheduler_config).items() if not k.startswith("_")}
        scheduler = DDIMScheduler.from_config({**known, "clip_sample": False})
        alphas = scheduler.alphas_cumprod
        times = tuple(round((i + 1) * len(alphas) / steps) - 1 for i in range(steps))
        return cls(times, (1.0, *(float(alphas[t]) for t in times)), prediction)

    @property
    def steps(self) -> int:
        return len(self.times)

    def moved(self, latents: Tensor, answer: Tensor, at: int, to: int) -> Tensor:
        """From rung ``at``, where the model gave ``answer``, to rung ``to``."""
        a = self.signal[at]
        scale, noise = a**0.5, (1 - a) ** 0.5
        if self.prediction == "epsilon":
            clean, dirt = (latents - noise * answer) / scale, answer
        elif self.prediction == "v_prediction":
            clean, dirt = scale * latents - noise * answer, scale * answer + noise * latents
        else:
            clean, dirt = answer, (latents - scale * answer) / max(noise, 1e-6)
        b = self.signal[to]
        return b**0.5 * clean + (1 - b) ** 0.5 * dirt

    def inverted(
        self, clean: Tensor, predict: Predict, refinements: int, progress: Callable[[int, int], None]
    ) -> list[Tensor]:
        """The latents of every rung, from the clean ones up. A step asks the model at the rung it leaves; each of
        ``refinements`` asks again at the rung it came to, which is what the way back will ask (fixed points: Pan et
        al. 2023, "Effective Real Image Editing with Accelerated Iterative Diffusion Inversion").
        """
        found = [clean]
        for rung in range(self.steps):
            here = found[-1]
            above = self._guessed(here, predict, rung)
            for _ in range(refinements):
                # The answer that leads from above back to here.
                above = self._solved(here, predict(above, self.times[rung]), above, rung)
            found.append(above)
            progress(rung + 1, self.steps)
        return found

    def _guessed(self, here: Tensor, predict: Predict, rung: int) -> Tensor:
        """Where the step from ``rung`` leads by the answer at its lower end."""
        if rung == 0:
            # Nothing is to be seen of noise in a clean picture: the answer at the first level stands for it.
            answer, a = predict(here, self.times[0]), self.signal[1]
            dirt = answer if self.prediction == "epsilon" else (a**0.5 * answer + (1 - a) ** 0.5 * here)
            if self.prediction == "sample":
                dirt = (here - a**0.5 * answer) / (1 - a) ** 0.5
            return a**0.5 * here + (1 - a) ** 0.5 * dirt
        return self.moved(here, predict(here, self.times[rung - 1]), rung, rung + 1)

    def _solved(self, here: Tensor, answer: Tensor, above: Tensor, rung: int) -> Tensor:
        """The latents at ``rung`` + 1 of which a step down with this ``answer`` gives ``here``."""
        a, b = self.signal[rung + 1], self.signal[rung]
        if self.prediction == "epsilon":
            dirt = answer
        elif self.prediction == "v_prediction":
            dirt = a**0.5 * answer + (1 - a) ** 0.5 * above
        else:
            dirt = (above - a**0.5 * answer) / (1 - a) ** 0.5
        clean = (here - (1 - b) ** 0.5 * dirt) / b**0.5
        return a**0.5 * clean + (1 - a) ** 0.5 * dirt

    def redrawn(self, way: Sequence[Tensor], predict: Predict) -> Tensor:
        """The clean latents that plain steps down from the last of ``way`` come to: what an inversion lost."""
        latents = way[-1]
        for rung in range(self.steps, 0, -1):
            latents = self.moved(latents, predict(latents, self.times[rung - 1]), rung, rung - 1)
        return latents


def at_latents(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """float32 [H,W] in 0..1 -> [1,1,h,w]: 1 wherever any of it is."""
    return torch.nn.functional.adaptive_max_pool2d(mask[None, None], size)
