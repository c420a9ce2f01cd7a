"""A generator's first steps, before anything judges it: it learns to draw what another one draws from the same latents.

A VAE leaves no part of the data out and puts everything in its place, blurred, long before a GAN does: a generator that
begins as its pupil finds in the discriminators' words only the sharpness wanting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from extensions.gan.networks.vision_aided import one_of_each_size

from .common import Setting, Teacher
from .pairs import Pair

_LEAST = 1e-6


class Imitation:
    """Trains ``pair.generator`` itself, for ``steps`` steps."""

    def __init__(self, setting: Setting, pair: Pair, teacher: Teacher) -> None:
        """Raises ValueError for a teacher that reads more latents than its pupil has."""
        if teacher.z_dim > int(pair.generator.z_dim):
            raise ValueError(f"the teacher reads {teacher.z_dim} latents, this network has {pair.generator.z_dim}")
        self.setting, self.pair, self.teacher = setting, pair, teacher
        self.steps = round(setting.recipe.imitation * setting.steps)
        self._tune = torch.optim.Adam(pair.generator.parameters(), lr=setting.recipe.rate, betas=(0.9, 0.99))

    def step(self, step: int) -> Mapping[str, Tensor]:
        """By the likelihood of the teacher's pictures with the variances that fit best (Rybkin et al. 2021, section
        3.2): that of pixels, and that of each layer of a network that sees, where there is one.
        """
        machine, recipe = self.setting.machine, self.setting.recipe
        for group in self._tune.param_groups:
            group["lr"] = recipe.rate * self.setting.rate_share(step)
        random = machine.generator(self.setting.seed, step, 6)
        z = self.pair.latents(self.setting.share, random)
        labels = torch.randint(max(1, self.pair.classes), (len(z),), generator=random, device=z.device)
        with torch.no_grad():
            wanted = self.teacher.draw(self.pair.read(z)[:, : self.teacher.z_dim])
        with machine.autocast():
            made = self.pair.generate(z, labels, random, track=True).float()
        error = (made - wanted).square().mean()
        loss = 0.5 * (error + _LEAST).log() + self._seen(made, wanted)
        self._tune.zero_grad(set_to_none=True)
        loss.backward()
        machine.average_gradients(self.pair.generator)
        self._tune.step()
        return {"loss_imitation": loss.detach(), "psnr_db": 10 * (4 / (error.detach() + 1e-8)).log10()}

    def _seen(self, made: Tensor, wanted: Tensor) -> Tensor:
        """The mean over the layers: small things count there that are few pixels."""
        if self.setting.layers is None:
            return made.new_zeros(())
        with torch.no_grad():
            theirs = one_of_each_size(self.setting.layers(wanted))
        ours = one_of_each_size(self.setting.layers(made))
        errors = [(one - other).square().mean() for one, other in zip(ours, theirs, strict=True)]
        return 0.5 * (torch.stack(errors) + _LEAST).log().mean()

    def state(self) -> dict[str, Any]:
        return {"tune": self._tune.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._tune.load_state_dict(state["tune"])
