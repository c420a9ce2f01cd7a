"""The VAE: pictures -> latents near N(0, 1) -> pictures."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from extensions.gan.networks.registry import build
from extensions.gan.networks.vae import divergence
from extensions.gan.training.average import Average

from .common import SHOWN, Setting

_DRAWN_AT_ONCE = 64


class Variational:
    """The evidence bound with the variance of the pixels that fits best (Rybkin et al. 2021, section 3.2): the two
    terms need no weight between them, ``divergence`` of the recipe is 1.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting, self.recipe, self.machine = setting, setting.recipe, setting.machine
        torch.manual_seed(setting.seed)
        self.network = build("vae", setting.recipe.network).to(setting.device)
        self.average = Average(self.network, self.recipe.average)
        self._tune = torch.optim.Adam(self.network.parameters(), lr=self.recipe.rate, betas=self.recipe.betas)
        self._batches = setting.batches()
        fixed = torch.Generator().manual_seed(setting.seed)
        self._shown_z = torch.randn((SHOWN, int(self.network.z_dim)), generator=fixed).to(setting.device)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"vae": self.network}

    @property
    def settled(self) -> bool:
        return True

    def step(self, step: int) -> Mapping[str, Tensor]:
        for group in self._tune.param_groups:
            group["lr"] = self.recipe.rate * self.setting.rate_share(step)
        random = self.machine.generator(self.setting.seed, step)
        images, _ = self._batches.at(step, self.setting.device)
        with self.machine.autocast():
            mean, log_variance = self.network.encode(images)
            noise = torch.randn(mean.shape, generator=random, device=mean.device)
            made = self.network(mean.float() + (log_variance.float() / 2).exp() * noise)
        pixels = images[0].numel()
        error = (made.float() - images).square().mean()
        apart = divergence(mean.float(), log_variance.float()).mean()
        # -log p of Gaussian pixels whose variance is the mean squared error, a pixel.
        loss = 0.5 * (error + 1e-6).log() + self.recipe.divergence * apart / pixels
        self._tune.zero_grad(set_to_none=True)
        loss.backward()
        self.machine.average_gradients(self.network)
        self._tune.step()
        self.average.update(step * self.recipe.batch, self.recipe.batch)
        decibels = 10 * (4 / (error.detach() + 1e-8)).log10()
        return {"loss": loss.detach(), "psnr_db": decibels, "divergence": apart.detach()}

    def state(self) -> dict[str, Any]:
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "tune": self._tune.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        self._tune.load_state_dict(state["tune"])

    @torch.no_grad()
    def shown(self) -> Tensor:
        images: Tensor = self.average.network(self._shown_z)
        return images

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        z = torch.randn((count, int(self.network.z_dim)), generator=random).to(self.setting.device)
        return torch.cat([self.average.network(part) for part in z.split(_DRAWN_AT_ONCE)])

    def finished(self) -> tuple[nn.Module, dict[str, Any]]:
        return copy.deepcopy(self.average.network).cpu(), dict(self.recipe.network)
