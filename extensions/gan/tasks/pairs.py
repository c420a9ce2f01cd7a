"""The generators and discriminators that are trained against each other, behind one face."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from extensions.gan.networks.biggan import BigGANDiscriminator, ConditionalBatchNorm
from extensions.gan.networks.dcgan import DCGANDiscriminator
from extensions.gan.networks.layers import Noise
from extensions.gan.networks.registry import build
from extensions.gan.networks.spectral import folded_state, normalize_spectra
from extensions.gan.networks.stylegan2_discriminator import StyleGAN2Discriminator
from extensions.gan.recipe import Recipe
from extensions.gan.training.data import PictureArray

_TRUNCATED_AT = 2.0
_CENTRE_SHARE = 0.002
"""By which the mean of w follows each batch."""


class BatchNoise(Noise):
    """Noise of a whole batch from one generator: in training no picture need be the same in another batch."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__("random", (generator,))

    def drawn(self, kept: Tensor, batch: int) -> Tensor:
        return torch.randn((batch, 1, *kept.shape), generator=self.generators[0], device=kept.device)


class Pair:
    """DCGAN, and what the others share."""

    normalizes = True
    """Whether the generator has statistics of batches."""

    def __init__(self, recipe: Recipe, data: PictureArray) -> None:
        self.recipe, self.data = recipe, data
        self.generator = self._generator()
        self.critic = self._critic()

    @property
    def classes(self) -> int:
        """That the generator is told; 0: none."""
        return int(self.generator.c_dim)

    def _generator(self) -> nn.Module:
        return build(self.recipe.family, self.recipe.network)

    def _critic(self) -> nn.Module:
        return DCGANDiscriminator(self.recipe.resolution, **self.recipe.critic)

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        """z float32 [count,z_dim] on the generator's device, as pictures are drawn later too."""
        return torch.randn((count, int(self.generator.z_dim)), generator=random, device=random.device)

    def generate(
        self,
        z: Tensor,
        labels: Tensor,
        random: torch.Generator,
        *,
        mixing: float = 0.0,
        track: bool = False,
        mapped: bool = True,
    ) -> Tensor:
        """For training: float [N,3,R,R]. ``track``: statistics follow. ``mapped``: a mapping network has a gradient."""
        images: Tensor = self.generator(z)
        return images

    def judge(self, images: Tensor, labels: Tensor) -> Tensor:
        """Logits [N,1]."""
        logits: Tensor = self.critic(images)
        return logits

    def with_points(self, z: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("path lengths are StyleGAN2's")

    def drawn(self, network: nn.Module, z: Tensor, labels: Tensor) -> Tensor:
        """Pictures of the averaged generator."""
        images: Tensor = network(z)
        return images.float()

    def plain(self, network: nn.Module) -> nn.Module:
        """A copy with plain weights, on the processor."""
        return copy.deepcopy(network).cpu().eval()

    def configuration(self) -> dict[str, Any]:
        """As our own files state it."""
        labels = {"labels": list(self.data.classes)} if self.classes and self.data.classes else {}
        return {**self.recipe.network, **labels}

    @staticmethod
    def norms(network: nn.Module) -> Iterator[nn.Module]:
        """The layers that keep statistics."""
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | ConditionalBatchNorm):
                yield module

    def forget_statistics(self, network: nn.Module) -> None:
        """Before they are gathered anew."""
        for norm in self.norms(network):
            norm.running_mean.zero_()
            norm.running_var.fill_(1)
            if isinstance(norm, nn.BatchNorm2d):
                norm.num_batches_tracked.zero_()


class StyleGAN2Pair(Pair):
    """Style mixing, the mean of w, noise."""

    normalizes = False

    def _critic(self) -> nn.Module:
        sizes = {key: value for key, value in self.recipe.network.items() if key in ("channel_base", "channel_max")}
        return StyleGAN2Discriminator(
            self.recipe.resolution, c_dim=self.classes, **{"mapping_layers": 2, **sizes, **self.recipe.critic}
        )

    def _condition(self, labels: Tensor) -> Tensor | None:
        return functional.one_hot(labels, self.classes).float() if self.classes else None

    def generate(
        self,
        z: Tensor,
        labels: Tensor,
        random: torch.Generator,
        *,
        mixing: float = 0.0,
        track: bool = False,
        mapped: bool = True,
    ) -> Tensor:
        ws = self.points(z, labels, track=track)
        if mixing > 0:
            ws = self._mixed(ws, self._condition(labels), random, mixing)
        return self.pictures(ws if mapped else ws.detach(), random)

    def points(self, z: Tensor, labels: Tensor, *, track: bool = False) -> Tensor:
        """w [N,L,D]. ``track``: their mean follows."""
        ws: Tensor = self.generator.mapping(z, self._condition(labels))
        if track:
            with torch.no_grad():
                self.generator.mapping.w_avg.lerp_(ws[:, 0].float().mean(0), _CENTRE_SHARE)
        return ws

    def pictures(self, ws: Tensor, random: torch.Generator) -> Tensor:
        """float32 [N,3,R,R] of w [N,L,D]."""
        images: Tensor = self.generator.synthesis(ws, self._noise(random))
        return images

    def _noise(self, random: torch.Generator) -> Noise:
        """Without it the strengths stay 0. Where pictures hold no chance detail, a generator that has noise fakes
        their edges by it, and a young discriminator lets it.
        """
        return BatchNoise(random) if self.recipe.noise else Noise("none")

    def _mixed(self, ws: Tensor, condition: Tensor | None, random: torch.Generator, share: float) -> Tensor:
        """Mixing regularization (Karras et al. 2019, section 3.1): from a layer on, the style of another z."""
        others: Tensor = self.generator.mapping(self.latents(len(ws), random), condition)
        layers, device = ws.shape[1], ws.device
        at = torch.randint(1, layers, (len(ws),), generator=random, device=device)
        mixed = torch.rand(len(ws), generator=random, device=device) < share
        at = torch.where(mixed, at, torch.full_like(at, layers))
        later = torch.arange(layers, device=device)[None] >= at[:, None]
        return torch.where(later[:, :, None], others, ws)

    def judge(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.critic(images, self._condition(labels))
        return logits

    def with_points(self, z: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures and the ws that they are made of."""
        labels = torch.randint(max(1, self.classes), (len(z),), generator=random, device=z.device)
        ws = self.points(z, labels)
        return self.pictures(ws, random), ws

    def drawn(self, network: nn.Module, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = network(z, self._condition(labels))
        return images.float()


class BigGANPair(Pair):
    """Classes by projection, spectral norms on both sides, z cut off at 2."""

    def _generator(self) -> nn.Module:
        return normalize_spectra(build(self.recipe.family, self.recipe.network))

    def _critic(self) -> nn.Module:
        own = {"classes": self.recipe.classes, "width": self.recipe.network.get("width", 96)}
        attention = {"attention": self.recipe.network.get("attention", 64)}
        critic = BigGANDiscriminator(self.recipe.resolution, **{**own, **attention, **self.recipe.critic})
        return normalize_spectra(critic)

    def latents(self, count: int, random: torch.Generator) -> Tensor:
        inside = math.erf(_TRUNCATED_AT / math.sqrt(2))
        shape = (count, int(self.generator.z_dim))
        uniform = torch.rand(shape, generator=random, dtype=torch.float64, device=random.device) * 2 - 1
        return (math.sqrt(2) * torch.erfinv(uniform * inside)).float()

    def generate(
        self,
        z: Tensor,
        labels: Tensor,
        random: torch.Generator,
        *,
        mixing: float = 0.0,
        track: bool = False,
        mapped: bool = True,
    ) -> Tensor:
        return self.drawn(self.generator, z, labels)

    def judge(self, images: Tensor, labels: Tensor) -> Tensor:
        logits: Tensor = self.critic(images, labels)
        return logits

    def drawn(self, network: nn.Module, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = network(z, functional.one_hot(labels, self.classes).float())
        return images

    def plain(self, network: nn.Module) -> nn.Module:
        made = build(self.recipe.family, self.recipe.network)
        made.load_state_dict({name: tensor.cpu() for name, tensor in folded_state(network).items()})
        return made.eval()


def pair_for(recipe: Recipe, data: PictureArray) -> Pair:
    """Raises TypeError and ValueError for a network that is none."""
    kinds: dict[str, type[Pair]] = {"dcgan": Pair, "stylegan2": StyleGAN2Pair, "biggan": BigGANPair}
    return kinds[recipe.family](recipe, data)
