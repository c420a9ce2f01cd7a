"""Where a picture's latents meet their noise: every image-to-image pipeline hands both to its scheduler, which is ours
for one run, so that they can be seen and changed there, whatever the family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(clean latents, noise) -> the clean latents to begin with."""


class Beginning:
    """What a run began with, caught at its scheduler: clean latents and noise, float [N,C,h,w] or as the family has
    them. Noise is laid over them again for later steps by ``noisy``.
    """

    def __init__(self, scheduler: Any, change: Change | None = None) -> None:
        """Takes the place of the scheduler's method; a scheduler serves one run, so that nothing is put back."""
        self.clean: torch.Tensor | None = None
        self.noise: torch.Tensor | None = None
        self._change = change
        self._flow = hasattr(scheduler, "scale_noise")
        self._lay = scheduler.scale_noise if self._flow else scheduler.add_noise
        scheduler.scale_noise = self._scale_noise
        if not self._flow:  # a general solver of a flow model has but this method, and its pipeline asks for the other
            scheduler.add_noise = self._add_noise

    def _scale_noise(self, sample: torch.Tensor, timestep: Any, noise: torch.Tensor) -> torch.Tensor:
        return self._begun(sample, noise, timestep)

    def _add_noise(self, sample: torch.Tensor, noise: torch.Tensor, timesteps: Any) -> torch.Tensor:
        return self._begun(sample, noise, timesteps)

    def _begun(self, sample: torch.Tensor, noise: torch.Tensor, timestep: Any) -> torch.Tensor:
        self.noise = noise
        self.clean = sample if self._change is None else self._change(sample, noise)
        return self._laid(timestep)

    def _laid(self, timestep: Any) -> torch.Tensor:
        noisy: torch.Tensor = (
            self._lay(self.clean, timestep, self.noise) if self._flow else self._lay(self.clean, self.noise, timestep)
        )
        return noisy

    def noisy(self, timestep: Any) -> torch.Tensor:
        """What the beginning looks like at ``timestep`` of the schedule (a scalar tensor); None: without noise."""
        if self.clean is None:
            raise RuntimeError("the pipeline laid no noise over its picture")
        return self.clean if timestep is None else self._laid(timestep.reshape(1).repeat(len(self.clean)))


def next_timestep(pipe: Any, number: int) -> Any:
    """The timestep of the step after ``number``; None after the last one."""
    steps = pipe.scheduler.timesteps
    left = steps[max(0, len(steps) - int(pipe.num_timesteps)) :]  # those that the strength leaves
    return left[number + 1] if number + 1 < len(left) else None


def packed_as(pipe: Any, latents: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """``latents`` [N,C,h,w] (or [N,1,C,h,w]) in the layout of ``wanted``: families of FLUX's kind pack patches into
    [N,L,4C].
    """
    if wanted.ndim == 3 and hasattr(pipe, "_pack_latents"):
        return pipe._pack_latents(latents, latents.shape[0], *latents.shape[-3:])
    return latents
