"""Training between autoencoder and denoiser: the decoder alone goes on learning while the latents stay what they are.

It may run beside the denoiser stage: nothing it changes is seen there.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from .autoencoder import picture_loss, sheet
from .config import TrainingConfig
from .data import masks, pictures, subjects_at
from .latents import first_autoencoder, kept_pool
from .loop import Hooks, Stage, step_generator
from .precision import mixed


def train_decoder(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> AutoencoderKL:
    """Train or go on training the decoder of `folder`/vae on slightly noisy latents; writes `folder`/vae-polished."""
    part, hooks = config.decoder, hooks or Hooks()
    vae = first_autoencoder(config, folder).to(config.device)
    # Of the whole world, whatever the base learns to draw: one decoder serves the LoRAs' styles too.
    pool = kept_pool(
        folder / "latents-whole.pt",
        vae,
        part.pool,
        lambda start, count: pictures(subjects_at(start, count), config.size),
        hooks,
    )
    stage = Stage(
        "decoder",
        {"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv},
        folder,
        part,
        config,
    )
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "decoder", step)
        start = (step * part.batch) % (len(pool) - part.batch + 1)
        subjects = subjects_at(start, part.batch)
        latents = pool[start : start + part.batch].float()
        latents = latents + part.noise * torch.randn(latents.shape, generator=generator)
        images, weights = (
            pictures(subjects, config.size),
            1 + config.autoencoder.feature_weight * masks(subjects, config.size),
        )
        with mixed(config.device):
            made = vae.decoder(vae.post_quant_conv(latents.to(config.device))).float()
        return picture_loss(made, images.to(config.device), weights.to(config.device), config.autoencoder)

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                sheet(vae, config).save(folder / f"decoder-{step:06d}.png")
                vae.save_pretrained(folder / "vae-polished")

    stage.run(loss_at, hooks, after)
    return vae
