"""Training between the stages: a trained autoencoder -> the pool of latents that decoder and denoiser learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from .autoencoder import encode
from .config import TrainingConfig
from .data import pictures
from .loop import Hooks, save_atomic
from .scope import scope_named

_CHUNK = 32


def latent_pool(
    config: TrainingConfig, vae: AutoencoderKL, folder: Path, hooks: Hooks | None = None, count: int = 0
) -> Tensor:
    """float16 [pool,C,h,w]: item i is the latent of the scope's subject of seed i, encoded once and kept in `folder`.

    `count`: how many, where the denoiser's number is not wanted.
    """
    scope = scope_named(config.scope)
    return kept_pool(
        folder / f"latents-{scope.name}.pt",
        vae,
        count or config.denoiser.pool,
        lambda start, count: pictures(scope.subjects(start, count), config.size),
        hooks,
    )


def kept_pool(
    path: Path, vae: AutoencoderKL, count: int, draw: Callable[[int, int], Tensor], hooks: Hooks | None = None
) -> Tensor:
    """float16 [count,C,h,w]: latents of `draw(start, n)` (float32 [n,3,H,W] in -1..1), kept in the file `path`.

    A file that another encoder made, or a shorter one, is made again.
    """
    maker = encoder_digest(vae)
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["encoder"] == maker and len(kept["latents"]) >= count:
            latents: Tensor = kept["latents"][:count]
            return latents
    hooks = hooks or Hooks()
    rows = []
    for start in range(0, count, _CHUNK):
        hooks.check()
        hooks.progress(start, count, "encoding")
        rows.append(encode(vae, draw(start, min(_CHUNK, count - start))).half())
    pool = torch.cat(rows)
    save_atomic({"encoder": maker, "latents": pool}, path)
    return pool


def encoder_digest(vae: AutoencoderKL) -> str:
    """SHA-256 of the encoder's half-precision weights: the decoder may go on training, latents stay what they are."""
    digest = hashlib.sha256()
    for module in (vae.encoder, vae.quant_conv):
        for tensor in module.state_dict().values():
            digest.update(tensor.detach().cpu().half().numpy().tobytes())
    return digest.hexdigest()


def first_autoencoder(config: TrainingConfig, folder: Path) -> AutoencoderKL:
    """The autoencoder that latents are made with: the first stage's, else the one that training starts from."""
    return _load(folder / "vae", *_start(config))


def best_autoencoder(config: TrainingConfig, folder: Path) -> AutoencoderKL:
    """The polished autoencoder of a training folder where there is one, else `first_autoencoder`'s."""
    return _load(folder / "vae-polished", folder / "vae", *_start(config))


def _start(config: TrainingConfig) -> list[Path]:
    return [] if config.start_folder is None else [config.start_folder / "avatar" / "vae"]


def _load(*places: Path) -> AutoencoderKL:
    for place in places:
        if place.is_dir():
            return AutoencoderKL.from_pretrained(place, torch_dtype=torch.float32, local_files_only=True).eval()
    raise FileNotFoundError(
        f"autoencoder: there is none at {', '.join(map(str, places))}; train the stage autoencoder first, or set "
        "`start` to bundled"
    )
