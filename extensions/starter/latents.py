"""Training between the stages: a trained autoencoder -> the pool of latents that decoder and denoiser learn from."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from .autoencoder import encode
from .config import TrainingConfig
from .data import avatars_at, pictures
from .loop import Hooks, save_atomic


def latent_pool(config: TrainingConfig, vae: AutoencoderKL, folder: Path, hooks: Hooks | None = None) -> Tensor:
    """float16 [pool,C,h,w]: item i is the latent of the person of seed i, encoded once and kept in `folder`."""
    path, count = folder / "latents.pt", config.denoiser.pool
    if path.exists():
        kept: Tensor = torch.load(path, weights_only=True)
        if len(kept) >= count:
            return kept[:count]
    hooks = hooks or Hooks()
    rows = []
    for start in range(0, count, 32):
        hooks.check()
        hooks.progress(start, count, "encoding")
        rows.append(encode(vae, pictures(avatars_at(start, min(32, count - start)), config.size)).half())
    pool = torch.cat(rows)
    save_atomic(pool, path)
    return pool


def best_autoencoder(folder: Path) -> AutoencoderKL:
    """The polished autoencoder of a training folder where there is one, else the first stage's."""
    polished = folder / "vae-polished"
    return AutoencoderKL.from_pretrained(
        polished if polished.is_dir() else folder / "vae", local_files_only=True
    ).eval()
