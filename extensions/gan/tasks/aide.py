"""A second discriminator, which sees by a network that is there already, beside the one that learns from nothing
(vision-aided training, Kumari et al. 2022). It sees what pictures show long before the other does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from extensions.gan.networks import losses
from extensions.gan.networks.vision_aided import LayerHeads, one_of_each_size
from extensions.gan.training.augment import diff_augment

from .common import Setting


class Aide:
    """Heads on the layers that ``Setting.layers`` gives, by hinge loss, on pictures changed by DiffAugment: the
    network was not made to judge them, and its heads would learn a small set by heart.
    """

    def __init__(self, setting: Setting, layers: Callable[[Tensor], Sequence[Tensor]]) -> None:
        self.setting, self._layers, size = setting, layers, setting.recipe.resolution
        with torch.no_grad():
            seen = self._seen(torch.zeros((1, 3, size, size), device=setting.device))
        self.heads = LayerHeads([one.shape[1] for one in seen]).to(setting.device)
        self._tune = torch.optim.Adam(self.heads.parameters(), lr=setting.recipe.aide_rate, betas=(0.0, 0.99))

    def learn(self, real: Tensor, fake: Tensor, step: int) -> Tensor:
        """Its turn, with pictures [N,3,R,R] in -1..1 -> its loss."""
        random = self.setting.machine.generator(self.setting.seed, step, 4)
        self.heads.requires_grad_(True)
        self._tune.param_groups[0]["lr"] = self.setting.recipe.aide_rate * self.setting.rate_share(step)
        with torch.no_grad():
            on_real, on_fake = (self._seen(diff_augment(images, random)) for images in (real, fake))
        loss = losses.hinge_discriminator_loss(self.heads(on_real), self.heads(on_fake))
        self._tune.zero_grad(set_to_none=True)
        loss.backward()
        self.setting.machine.average_gradients(self.heads)
        self._tune.step()
        return loss.detach()

    def loss(self, fake: Tensor, step: int) -> Tensor:
        """Of the generator: a scalar with gradient."""
        random = self.setting.machine.generator(self.setting.seed, step, 5)
        self.heads.requires_grad_(False)
        return losses.hinge_generator_loss(self.heads(self._seen(diff_augment(fake, random))))

    def _seen(self, images: Tensor) -> list[Tensor]:
        return one_of_each_size(self._layers(images.float()))

    def state(self) -> dict[str, Any]:
        return {"heads": self.heads.state_dict(), "tune": self._tune.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.heads.load_state_dict(state["heads"])
        self._tune.load_state_dict(state["tune"])
