"""An encoder beside a StyleGAN2: pictures -> w -> the same pictures, long before a discriminator could teach as much.

The generator learns to give pictures back, and two networks against each other make the mapping network's w and the
encoder's alike: an adversarial latent autoencoder (Pidhorskyi et al. 2020), anchored in pictures (Zhu et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from extensions.gan.networks import losses
from extensions.gan.networks.point_encoder import PointCritic, PointEncoder

from .common import Setting
from .pairs import StyleGAN2Pair

_REMEMBERED, _COMPARED = 2048, 128
"""Points of the encoder that are kept, and how many of each side are compared in a step."""
_SIZES = {"channel_base": 32768, "channel_max": 512}
"""The generator's own, where a recipe does not say."""
_BETAS = (0.9, 0.99)
_GAMMA = 1.0
"""Of R1 in W."""
_PULL = 0.1
"""Weight of the encoder's way towards the mapping network; its own task is to give pictures back."""


class Anchor:
    """What ``Adversarial`` adds to the generator's loss. Raises TypeError for another generator than StyleGAN2's."""

    def __init__(self, setting: Setting, pair: object) -> None:
        if not isinstance(pair, StyleGAN2Pair):
            raise TypeError("anchor: expected a StyleGAN2, which has a space of styles")
        self.setting, self.recipe, self.pair = setting, setting.recipe, pair
        sizes = {key: int(self.recipe.network.get(key, most)) for key, most in _SIZES.items()}
        width = int(pair.generator.w_dim)
        self.encoder = PointEncoder(self.recipe.resolution, width, **sizes).to(setting.device)
        self.critic = PointCritic(width).to(setting.device)
        self._tune = torch.optim.Adam(self.encoder.parameters(), lr=self.recipe.rate, betas=_BETAS)
        self._tune_critic = torch.optim.Adam(self.critic.parameters(), lr=self.recipe.critic_rate, betas=(0.0, 0.99))
        self._points = torch.zeros((_REMEMBERED, width), device=setting.device)
        self._count = 0

    def loss(self, real: Tensor, labels: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Of pictures [N,3,R,R] in -1..1 -> a scalar with gradient for generator and encoder, and what is told."""
        random = self.setting.machine.generator(self.setting.seed, step, 6)
        with self.setting.machine.autocast():
            points = self.encoder(real).float()
            ws = points[:, None].expand(-1, int(self.pair.generator.num_ws), -1)
            apart = functional.l1_loss(self.pair.pictures(ws, random).float(), real)
        self._remember(points.detach())
        mapped = self._mapped(labels, random)
        told = {"loss_anchor": apart.detach(), "loss_points": self._learn(mapped.detach(), random, step)}
        # Each side is to be taken for the other.
        self.critic.requires_grad_(False)
        alike = losses.generator_loss(self.critic(mapped)) + _PULL * losses.generator_loss(-self.critic(points))
        self.critic.requires_grad_(True)
        self._tune.param_groups[0]["lr"] = self.recipe.rate * self.setting.rate_share(step)
        self._tune.zero_grad(set_to_none=True)
        return self.recipe.anchor * apart + alike, told

    def update(self) -> None:
        """After the gradients of ``loss``."""
        self.setting.machine.average_gradients(self.encoder)
        self._tune.step()

    def _mapped(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """w [M,D] of the mapping network, for classes as often as the data has them."""
        rows = torch.randint(len(labels), (_COMPARED,), generator=random, device=labels.device)
        z = self.pair.latents(_COMPARED, random)
        return self.pair.points(z, labels[rows], track=True)[:, 0].float()

    def _remember(self, points: Tensor) -> None:
        places = (self._count + torch.arange(len(points), device=points.device)) % _REMEMBERED
        self._points[places] = points
        self._count += len(points)

    def _learn(self, mapped: Tensor, random: torch.Generator, step: int) -> Tensor:
        """The critic's turn -> its loss."""
        known = min(self._count, _REMEMBERED)
        rows = torch.randint(known, (_COMPARED,), generator=random, device=mapped.device)
        encoded = self._points[rows].requires_grad_(True)
        on_encoded = self.critic(encoded)
        loss = losses.discriminator_loss(on_encoded, self.critic(mapped))
        (slope,) = torch.autograd.grad(on_encoded.sum(), encoded, create_graph=True)
        self._tune_critic.param_groups[0]["lr"] = self.recipe.critic_rate * self.setting.rate_share(step)
        self._tune_critic.zero_grad(set_to_none=True)
        (loss + _GAMMA / 2 * slope.square().sum(1).mean()).backward()
        self.setting.machine.average_gradients(self.critic)
        self._tune_critic.step()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        return {
            "encoder": self.encoder.state_dict(),
            "critic": self.critic.state_dict(),
            "tune": self._tune.state_dict(),
            "tune_critic": self._tune_critic.state_dict(),
            "points": self._points,
            "count": self._count,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.encoder.load_state_dict(state["encoder"])
        self.critic.load_state_dict(state["critic"])
        self._tune.load_state_dict(state["tune"])
        self._tune_critic.load_state_dict(state["tune_critic"])
        self._points.copy_(state["points"])
        self._count = int(state["count"])
