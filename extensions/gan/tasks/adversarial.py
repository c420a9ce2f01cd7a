"""A generator against a discriminator: DCGAN, StyleGAN2, BigGAN, by any of the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from extensions.gan.networks import losses
from extensions.gan.training.augment import Adaptive, diff_augment
from extensions.gan.training.average import Average

from .aide import Aide
from .anchor import Anchor
from .common import SHOWN, Setting
from .pairs import Pair, pair_for

_DRAWN_AT_ONCE = 32
_ADA_EVERY = 4


class Adversarial:
    """``training.loop.Task`` of a pair of networks. Lazy regularization (Karras et al. 2020, section 3.1): penalties
    are computed every so many steps, so much stronger.
    """

    def __init__(self, setting: Setting) -> None:
        recipe = setting.recipe
        self.setting, self.recipe, self.machine = setting, recipe, setting.machine
        torch.manual_seed(setting.seed)
        self.pair: Pair = pair_for(recipe, setting.data)
        self.generator = self.pair.generator.to(setting.device)
        self.critic = self.pair.critic.to(setting.device)
        self.average = Average(self.generator, recipe.average)
        self._tune_generator = self._adam(self.generator, recipe.rate, recipe.path_every if recipe.path_weight else 0)
        self._tune_critic = self._adam(self.critic, recipe.critic_rate, recipe.penalty_every if recipe.gamma else 0)
        self._batches = setting.batches()
        self.ada = Adaptive(target=recipe.ada_target, pictures_to_one=recipe.ada_pictures)
        self.aide = Aide(setting, setting.layers) if setting.layers is not None and recipe.aide_weight else None
        self.anchor = Anchor(setting, self.pair) if recipe.anchor else None
        self._joins = round(recipe.adversarial_from * setting.steps) if recipe.anchor else 0
        self._sign = torch.zeros((), device=setting.device)
        self._path_mean = torch.zeros((), device=setting.device)
        fixed = torch.Generator().manual_seed(setting.seed)
        self._shown_z = self.pair.latents(SHOWN, fixed).to(setting.device)
        labels = torch.arange(SHOWN) % self.pair.classes if self.pair.classes else torch.zeros(SHOWN).long()
        self._shown_labels = labels.to(setting.device)

    def _adam(self, network: nn.Module, rate: float, lazy: int) -> torch.optim.Adam:
        """``lazy``: every so many steps there is one more, by which rate and memory are corrected (appendix B)."""
        share = lazy / (lazy + 1) if lazy > 1 else 1.0
        betas = (self.recipe.betas[0] ** share, self.recipe.betas[1] ** share)
        made = torch.optim.Adam(network.parameters(), lr=rate * share, betas=betas, eps=1e-8)
        for group in made.param_groups:
            group["base"] = rate * share
        return made

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        own = {"generator": self.generator, "critic": self.critic}
        if self.aide is not None:
            own["aide"] = self.aide.heads
        return own if self.anchor is None else {**own, "encoder": self.anchor.encoder, "points": self.anchor.critic}

    @property
    def settled(self) -> bool:
        return True

    def step(self, step: int) -> Mapping[str, Tensor]:
        for optimizer in (self._tune_generator, self._tune_critic):
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * self.setting.rate_share(step)
        told: dict[str, Tensor] = {}
        for turn in range(self.recipe.critic_steps if step >= self._joins else 0):
            self._train_critic(step * self.recipe.critic_steps + turn, told)
        self._train_generator(step, told)
        self.average.update(step * self.recipe.batch, self.recipe.batch)
        if self.recipe.augment == "ada" and step % _ADA_EVERY == _ADA_EVERY - 1:
            sign = float(self.machine.mean(self._sign / (_ADA_EVERY * self.recipe.critic_steps)))
            self.ada.update(sign, self.recipe.batch * _ADA_EVERY)
            self._sign.zero_()
        if self.recipe.augment == "ada":
            told["augment_p"] = torch.tensor(self.ada.p)
        return told

    # The discriminator's turn.

    def _train_critic(self, turn: int, told: dict[str, Tensor]) -> None:
        random = self.machine.generator(self.setting.seed, turn, 1)
        real, labels = self._batches.at(turn, self.setting.device)
        self.critic.requires_grad_(True)
        with torch.no_grad(), self.machine.autocast():
            made_of = self._made_for(labels, random)
            fake = self._made(made_of, random)
        if self.aide is not None:
            told["loss_aide"] = self.aide.learn(real, fake.float(), turn)
        real, fake = self._changed(real, random), self._changed(fake.float(), random)
        with self.machine.autocast():
            on_real, on_fake = self.pair.judge(real, labels), self.pair.judge(fake, made_of)
        loss = self._critic_loss(on_real.float(), on_fake.float())
        self._tune_critic.zero_grad(set_to_none=True)
        loss.backward()
        if self.recipe.gamma and turn % self.recipe.penalty_every == 0:
            penalty = self._penalty(real, fake, labels, made_of, random)
            told["penalty"] = penalty.detach()
            (penalty * (self._penalty_weight() * self.recipe.penalty_every)).backward()
        self.machine.average_gradients(self.critic)
        self._tune_critic.step()
        self._sign += on_real.detach().float().sign().mean()
        told |= {
            "loss_discriminator": loss.detach(),
            "logits_real": on_real.detach().float().mean(),
            "logits_fake": on_fake.detach().float().mean(),
        }

    def _critic_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        if self.recipe.loss == "r3gan":
            return losses.relativistic_loss(fake, real)
        of: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
            "nonsaturating": losses.discriminator_loss,
            "hinge": losses.hinge_discriminator_loss,
            "wgan-gp": losses.wasserstein_discriminator_loss,
        }
        return of[self.recipe.loss](real, fake)

    def _penalty_weight(self) -> float:
        return self.recipe.gamma if self.recipe.loss == "wgan-gp" else self.recipe.gamma / 2

    def _penalty(self, real: Tensor, fake: Tensor, labels: Tensor, made_of: Tensor, random: torch.Generator) -> Tensor:
        """In full precision, at the pictures that the discriminator sees: after augmentation."""
        if self.recipe.loss == "wgan-gp":
            share = torch.rand((len(real), 1, 1, 1), generator=random, device=real.device)
            between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
            return losses.gradient_penalty(self.pair.judge(between, labels), between)
        real = real.detach().requires_grad_(True)
        penalty = losses.r1_penalty(self.pair.judge(real, labels), real)
        if self.recipe.loss == "r3gan":
            fake = fake.detach().requires_grad_(True)
            penalty = penalty + losses.r1_penalty(self.pair.judge(fake, made_of), fake)
        return penalty

    # The generator's turn.

    def _train_generator(self, step: int, told: dict[str, Tensor]) -> None:
        turn = step * self.recipe.critic_steps
        joined = step >= self._joins
        self.critic.requires_grad_(False)
        loss = self._adversarial_loss(step, turn) if joined else torch.zeros((), device=self.setting.device)
        if self.anchor is not None:
            anchored, more = self.anchor.loss(*self._batches.at(turn, self.setting.device), step)
            loss = loss + anchored
            told |= more
        self._tune_generator.zero_grad(set_to_none=True)
        loss.backward()
        if joined and self.recipe.path_weight and step % self.recipe.path_every == 0:
            told["path_length"] = self._regularize_path(step)
        self.machine.average_gradients(self.generator)
        self._tune_generator.step()
        if self.anchor is not None:
            self.anchor.update()
        told["loss_generator"] = loss.detach()

    def _adversarial_loss(self, step: int, turn: int) -> Tensor:
        random = self.machine.generator(self.setting.seed, step, 2)
        labels = torch.from_numpy(self.setting.data.labels[self._batches.rows(turn)]).to(self.setting.device)
        with self.machine.autocast():
            made_of = self._made_for(labels, random)
            fake = self._made(made_of, random, track=True)
            on_fake = self.pair.judge(self._changed(fake.float(), random), made_of).float()
            if self.recipe.loss == "r3gan":
                real, labels = self._batches.at(turn, self.setting.device)
                with torch.no_grad():
                    on_real = self.pair.judge(self._changed(real, random), labels).float()
                loss = losses.relativistic_loss(on_real, on_fake)
            elif self.recipe.loss == "nonsaturating":
                loss = losses.generator_loss(on_fake)
            else:
                loss = losses.hinge_generator_loss(on_fake)
        if self.aide is not None:
            loss = loss + self.recipe.aide_weight * self.aide.loss(fake, step)
        return loss

    def _regularize_path(self, step: int) -> Tensor:
        """Path length regularization on half a batch (Karras et al. 2020, section 3.2)."""
        random = self.machine.generator(self.setting.seed, step, 3)
        count = max(1, self.setting.share // 2)
        z = self.pair.latents(count, random)
        images, ws = self.pair.with_points(z, random)
        lengths = losses.path_lengths(images, ws, random)
        mean = self._path_mean.lerp(self.machine.mean(lengths.detach().mean()), 0.01)
        self._path_mean.copy_(mean)
        loss = (lengths - mean).square().mean() * self.recipe.path_weight * self.recipe.path_every
        # Weights that add noise or biases do not change lengths: a term of zero gives them a gradient all the same.
        (loss + 0.0 * images[:, 0, 0, 0].mean()).backward()
        return lengths.detach().mean()

    def _made_for(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Classes for generated pictures: as often as the data has them."""
        return labels[torch.randperm(len(labels), generator=random, device=labels.device)]

    def _made(self, labels: Tensor, random: torch.Generator, track: bool = False) -> Tensor:
        z = self.pair.latents(len(labels), random)
        # With an anchor the mapping network follows the encoder alone: a discriminator would lead it to what fools.
        mapped = self.anchor is None
        return self.pair.generate(z, labels, random, mixing=self.recipe.mixing, track=track, mapped=mapped)

    def _changed(self, images: Tensor, random: torch.Generator) -> Tensor:
        if self.recipe.augment == "diffaugment":
            return diff_augment(images, random)
        return self.ada(images, random) if self.recipe.augment == "ada" else images

    # What a run keeps and shows.

    def state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "average": self.average.network.state_dict(),
            "tune_generator": self._tune_generator.state_dict(),
            "tune_critic": self._tune_critic.state_dict(),
            "ada_p": self.ada.p,
            "sign": self._sign,
            "path_mean": self._path_mean,
            "aide": {} if self.aide is None else self.aide.state(),
            "anchor": {} if self.anchor is None else self.anchor.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.average.network.load_state_dict(state["average"])
        self._tune_generator.load_state_dict(state["tune_generator"])
        self._tune_critic.load_state_dict(state["tune_critic"])
        self.ada.p = float(state["ada_p"])
        self._sign.copy_(state["sign"])
        self._path_mean.copy_(state["path_mean"])
        if self.aide is not None:
            self.aide.restore(state["aide"])
        if self.anchor is not None:
            self.anchor.restore(state["anchor"])

    @torch.no_grad()
    def shown(self) -> Tensor:
        self._settle()
        return self.pair.drawn(self.average.network, self._shown_z, self._shown_labels)

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        self._settle()
        random = torch.Generator().manual_seed(seed)
        parts = []
        for start in range(0, count, _DRAWN_AT_ONCE):
            size = min(_DRAWN_AT_ONCE, count - start)
            z = self.pair.latents(size, random).to(self.setting.device)
            rows = torch.randint(len(self.setting.data), (size,), generator=random).numpy()
            labels = torch.from_numpy(self.setting.data.labels[rows]).to(self.setting.device)
            parts.append(self.pair.drawn(self.average.network, z, labels))
        return torch.cat(parts)

    def finished(self) -> tuple[nn.Module, dict[str, Any]]:
        with torch.no_grad():
            self._settle()
        return self.pair.plain(self.average.network), self.pair.configuration()

    def _settle(self) -> None:
        """Statistics of normalization layers for the averaged weights, over fixed batches (Brock et al. 2019, appendix
        C.3): those that were copied belong to the last weights.
        """
        network = self.average.network
        if not self.pair.normalizes:
            return
        random = torch.Generator().manual_seed(self.setting.seed + 1)
        for norm in self.pair.norms(network):
            norm.training = True  # alone, without the layers within: their spectral norms stay as they are
        for turn in range(24):
            z = self.pair.latents(_DRAWN_AT_ONCE, random).to(self.setting.device)
            classes = max(1, self.pair.classes)
            labels = torch.randint(classes, (_DRAWN_AT_ONCE,), generator=random).to(self.setting.device)
            if turn == 0:
                self.pair.forget_statistics(network)
            self.pair.drawn(network, z, labels)
        network.eval()
