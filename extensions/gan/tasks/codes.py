"""VQ-VAE and VQGAN: first the autoencoder of codes, then the prior that draws them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from extensions.gan.networks import losses
from extensions.gan.networks.code_model import CodeModel
from extensions.gan.networks.patch_discriminator import PatchDiscriminator
from extensions.gan.networks.registry import build
from extensions.gan.networks.vqvae import perplexity
from extensions.gan.training.average import Average

from .common import SHOWN, Setting

_AT_ONCE = 64
_RESTART_EVERY = 50
_MOST_WEIGHT = 1e4


class Codes:
    """Two stages in one run: the prior's begins when the autoencoder's steps are done, on the codes of all the data."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.recipe, self.machine = setting, setting.recipe, setting.machine
        recipe = self.recipe
        torch.manual_seed(setting.seed)
        self.network: CodeModel = build(recipe.family, recipe.network).to(setting.device)  # type: ignore[assignment]
        self.autoencoder, self.prior = self.network.autoencoder, self.network.prior
        self.average = Average(self.network, recipe.average)
        share = recipe.prior_share if self.prior is not None else 0.0
        self.switch = max(1, round(setting.steps * (1 - share)))
        self._tune = torch.optim.Adam(self.autoencoder.parameters(), lr=recipe.rate, betas=(0.5, 0.9))
        self.critic = PatchDiscriminator(**recipe.critic).to(setting.device) if recipe.adversarial else None
        self._tune_critic = (
            torch.optim.Adam(self.critic.parameters(), lr=recipe.critic_rate, betas=(0.5, 0.9)) if self.critic else None
        )
        self._tune_prior = (
            torch.optim.AdamW(self.prior.parameters(), lr=recipe.prior_rate, betas=(0.9, 0.95), weight_decay=0.01)
            if self.prior is not None
            else None
        )
        codebook = self._codebook()
        self._used = torch.zeros(len(codebook), device=setting.device)
        self._batches, self._prior_batches = setting.batches(), setting.batches(recipe.prior_batch)
        self._codes: Tensor | None = None
        self._step = 0

    def _codebook(self) -> Tensor:
        quantize = self.autoencoder.quantize if hasattr(self.autoencoder, "quantize") else None
        quantize = quantize or self.autoencoder.model.quantize
        weight: Tensor = quantize.embedding.weight
        return weight

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        return {"network": self.network, **({"critic": self.critic} if self.critic is not None else {})}

    @property
    def settled(self) -> bool:
        return self.prior is not None and self._step > self.switch

    def step(self, step: int) -> Mapping[str, Tensor]:
        told = self._train_autoencoder(step) if step < self.switch else self._train_prior(step)
        self._step = step + 1
        return told

    # The autoencoder.

    def _train_autoencoder(self, step: int) -> Mapping[str, Tensor]:
        recipe = self.recipe
        self._set_rate(self._tune, recipe.rate, step, self.switch)
        images, _ = self._batches.at(step, self.setting.device)
        with self.machine.autocast():
            made, quantized = self.autoencoder(images)
        made = made.float()
        rebuilt = functional.l1_loss(made, images) + functional.mse_loss(made, images)
        total = rebuilt + quantized.codebook_loss + recipe.commitment * quantized.commitment_loss
        told = {"loss_reconstruction": rebuilt.detach()}
        joined = self.critic is not None and step >= recipe.adversarial_from * self.switch
        if joined:
            assert self.critic is not None
            self.critic.requires_grad_(False)
            fooled = losses.hinge_generator_loss(self.critic(made))
            total = total + recipe.adversarial * self._balance(rebuilt, fooled) * fooled
            told["loss_generator"] = fooled.detach()
        self._tune.zero_grad(set_to_none=True)
        total.backward()
        self.machine.average_gradients(self.autoencoder)
        self._tune.step()
        if joined:
            told["loss_discriminator"] = self._train_critic(images, made.detach(), step)
        self._follow_codes(quantized.codes, step, images)
        self.average.update(step * recipe.batch, recipe.batch)
        return {**told, "codes_in_use": perplexity(quantized.codes, len(self._used)).to(images.device)}

    def _balance(self, rebuilt: Tensor, fooled: Tensor) -> Tensor:
        """The weight that makes both gradients alike at the last layer (Esser et al. 2021, equation 7)."""
        last = [p for p in self.autoencoder.parameters() if p.ndim == 4][-1]
        (of_rebuilt,) = torch.autograd.grad(rebuilt, last, retain_graph=True)
        (of_fooled,) = torch.autograd.grad(fooled, last, retain_graph=True)
        return (of_rebuilt.norm() / (of_fooled.norm() + 1e-4)).clamp(0, _MOST_WEIGHT).detach()

    def _train_critic(self, real: Tensor, fake: Tensor, step: int) -> Tensor:
        assert self.critic is not None
        assert self._tune_critic is not None
        self.critic.requires_grad_(True)
        self._set_rate(self._tune_critic, self.recipe.critic_rate, step, self.switch)
        loss = losses.hinge_discriminator_loss(self.critic(real), self.critic(fake))
        self._tune_critic.zero_grad(set_to_none=True)
        loss.backward()
        self.machine.average_gradients(self.critic)
        self._tune_critic.step()
        return loss.detach()

    @torch.no_grad()
    def _follow_codes(self, codes: Tensor, step: int, images: Tensor) -> None:
        """Codes that nothing was near for a while begin anew at what the encoder gives (Dhariwal et al. 2020, section
        3.1): a codebook otherwise falls to a few.
        """
        self._used += torch.bincount(codes.flatten(), minlength=len(self._used)).float()
        if step % _RESTART_EVERY != _RESTART_EVERY - 1:
            return
        if step < 0.6 * self.switch:
            dead = (self._used == 0).nonzero()[:, 0]
            random = self.machine.generator(self.setting.seed, step, 4)
            encoder = getattr(self.autoencoder, "encoder", None)
            z = encoder(images) if encoder is not None else self.autoencoder.model.encode(images).latents
            vectors = z.float().permute(0, 2, 3, 1).flatten(0, 2)
            rows = torch.randint(len(vectors), (len(dead),), generator=random, device=vectors.device)
            self._codebook().data[dead] = vectors[rows]
        self._used.zero_()

    # The prior.

    def _train_prior(self, step: int) -> Mapping[str, Tensor]:
        if self.prior is None or self._tune_prior is None:
            raise ValueError("this network has no prior to train")
        codes = self._all_codes()
        self._set_rate(self._tune_prior, self.recipe.prior_rate, step - self.switch, self.setting.steps - self.switch)
        rows = self._prior_batches.rows(step)
        wanted = codes[torch.from_numpy(rows)].to(self.setting.device).long()
        begin = self._condition(torch.from_numpy(self.setting.data.labels[rows]))
        with self.machine.autocast():
            logits = self.prior(torch.cat([begin, wanted[:, :-1]], 1))[:, begin.shape[1] - 1 :]
        loss = functional.cross_entropy(logits.float().flatten(0, 1), wanted.flatten())
        self._tune_prior.zero_grad(set_to_none=True)
        loss.backward()
        self.machine.average_gradients(self.prior)
        nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        self._tune_prior.step()
        self.average.update((step - self.switch) * self.recipe.prior_batch, self.recipe.prior_batch)
        return {"loss_prior": loss.detach()}

    def _condition(self, labels: Tensor) -> Tensor:
        conditioning = self.network.conditioning
        if conditioning.kind == "text":
            raise ValueError("priors of texts are read, not trained here")
        rows = labels[:, None] if conditioning.kind == "class" else torch.zeros_like(labels)[:, None]
        return (conditioning.offset + rows).to(self.setting.device)

    @torch.no_grad()
    def _all_codes(self) -> Tensor:
        """int16 [N,side*side] of all the data, by the average of the autoencoder: that is the one that is kept."""
        if self._codes is None:
            kept = self.average.network.autoencoder
            self.autoencoder.load_state_dict(kept.state_dict())
            data, parts = self.setting.data, []
            for start in range(0, len(data), _AT_ONCE):
                rows = range(start, min(start + _AT_ONCE, len(data)))
                parts.append(kept.encode(data.images(list(rows)).to(self.setting.device)).flatten(1).short().cpu())
            self._codes = torch.cat(parts)
        return self._codes

    @staticmethod
    def _set_rate(optimizer: torch.optim.Optimizer, rate: float, step: int, steps: int) -> None:
        """Up over the first fiftieth, down to a tenth over the last half."""
        warm = min(1.0, (step + 1) / max(1.0, steps / 50))
        left = min(1.0, 0.1 + 1.8 * (steps - step) / max(1, steps))
        for group in optimizer.param_groups:
            group["lr"] = rate * min(warm, left)

    # What a run keeps and shows.

    def state(self) -> dict[str, Any]:
        optimizers = {"tune": self._tune, "tune_critic": self._tune_critic, "tune_prior": self._tune_prior}
        return {
            "network": self.network.state_dict(),
            "average": self.average.network.state_dict(),
            "critic": self.critic.state_dict() if self.critic is not None else {},
            "used": self._used,
            "step": self._step,
            **{name: one.state_dict() for name, one in optimizers.items() if one is not None},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.network.load_state_dict(state["average"])
        if self.critic is not None and self._tune_critic is not None:
            self.critic.load_state_dict(state["critic"])
            self._tune_critic.load_state_dict(state["tune_critic"])
        self._used.copy_(state["used"])
        self._step = int(state["step"])
        self._tune.load_state_dict(state["tune"])
        if self._tune_prior is not None:
            self._tune_prior.load_state_dict(state["tune_prior"])

    @torch.no_grad()
    def shown(self) -> Tensor:
        """Pictures of the prior; before it is trained, pictures of the data above their reconstructions."""
        if self.settled:
            return self.draw(SHOWN, self.setting.seed)
        rows = list(range(min(SHOWN // 2, len(self.setting.data))))
        images = self.setting.data.images(rows).to(self.setting.device)
        rebuilt = self.average.network.autoencoder(images)[0]
        columns = int(SHOWN**0.5)
        pairs = zip(images.split(columns), rebuilt.split(columns), strict=True)
        return torch.cat([part for pair in pairs for part in pair])

    @torch.no_grad()
    def draw(self, count: int, seed: int) -> Tensor:
        model: CodeModel = self.average.network  # type: ignore[assignment]
        random = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.setting.data), (count,), generator=random).numpy()
        condition = self._condition(torch.from_numpy(self.setting.data.labels[rows]))
        parts = []
        for start in range(0, count, _AT_ONCE):
            part = condition[start : start + _AT_ONCE]
            generators = [torch.Generator().manual_seed(seed + start + i) for i in range(len(part))]
            parts.append(model.autoencoder.decode(model.sample(part, generators)))
        return torch.cat(parts)

    def finished(self) -> tuple[nn.Module, dict[str, Any]]:
        config = dict(self.recipe.network)
        if self.setting.data.classes and self.network.c_dim:
            config["labels"] = list(self.setting.data.classes)
        return copy.deepcopy(self.average.network).cpu(), config
