"""A picture in the making from latents, at the price of one small matrix product: RGB is nearly linear in latents."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from PIL import Image

from .decoding import decode, latent_channels

_KNOWN: dict[tuple[int, float], list[list[float]]] = {
    (4, 0.18215): [
        [0.3512, 0.2297, 0.3227],
        [0.3250, 0.4974, 0.2350],
        [-0.2829, 0.1762, 0.2721],
        [-0.2120, -0.2616, -0.7177],
    ],
    (4, 0.13025): [
        [0.3920, 0.4054, 0.4549],
        [-0.2634, -0.0196, 0.0653],
        [0.0568, 0.1687, -0.0755],
        [-0.3112, -0.2359, -0.2076],
    ],
}
"""(latent channels, scaling factor) of the VAEs of SD 1.x and SDXL at full width -> colour of each channel, in -1..1.
"""
_FULL_WIDTH = 512
_MEMO = "_lifelike_preview"
_PATCHES, _PATCH = 8, 4
_EDGE_PX = 512


def preview(latents: torch.Tensor, vae: Any, width: int, height: int) -> Image.Image:
    """Float [C,h,w] -> a small picture of about the asked proportions, at most 512 px."""
    matrix, offset = factors(vae)
    values = latents.detach().float().cpu().numpy().reshape(latents.shape[0], -1)
    colours = matrix.T @ values + offset[:, None]
    pixels = np.nan_to_num(np.clip(colours * 127.5 + 127.5, 0, 255)).astype(np.uint8)
    image = Image.fromarray(pixels.T.reshape(*latents.shape[1:], 3))
    scale = min(1.0, _EDGE_PX / max(width, height))
    return image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BICUBIC)


def factors(vae: Any) -> tuple[np.ndarray, np.ndarray]:
    """Matrix [C,3] and offset [3] from a latent to its colour in -1..1: known, or fitted once and kept with the VAE."""
    kept = getattr(vae, _MEMO, None)
    if kept is None:
        config = vae.config
        channels = latent_channels(config)
        known = _KNOWN.get((channels, round(float(config.get("scaling_factor") or 1.0), 5)))
        if known is not None and max(config.get("block_out_channels") or (0,)) == _FULL_WIDTH:
            kept = (np.asarray(known, np.float32), np.zeros(3, np.float32))
        else:
            kept = fit(vae, channels)
        setattr(vae, _MEMO, kept)
    return kept


@torch.inference_mode()
def fit(vae: Any, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Least squares over the decoded colours of 64 random flat patches; the middle of each, so that neighbours do not
    bleed in.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    colours = torch.randn(channels, _PATCHES, _PATCHES, generator=generator)
    latents = colours.repeat_interleave(_PATCH, 1).repeat_interleave(_PATCH, 2)[None]
    weight = next(vae.parameters())
    pixels = decode(vae, latents.to(weight.device, weight.dtype))[0].float().cpu()
    scale = pixels.shape[-1] // latents.shape[-1]
    patch = _PATCH * scale
    blocks = pixels.reshape(3, _PATCHES, patch, _PATCHES, patch)
    middle = blocks[:, :, patch // 4 : patch - patch // 4, :, patch // 4 : patch - patch // 4].mean((2, 4))
    if not torch.isfinite(middle).all():
        # A VAE that overflows in this precision: previews stay grey, the picture is decoded in another.
        return np.zeros((channels, 3), np.float32), np.zeros(3, np.float32)
    inputs = torch.cat([colours.reshape(channels, -1), torch.ones(1, _PATCHES**2)]).T
    solution = torch.linalg.lstsq(inputs, middle.reshape(3, -1).T).solution.numpy().astype(np.float32)
    return solution[:-1], solution[-1]


def visible(latents: torch.Tensor, pipe: Any, width: int, height: int) -> torch.Tensor | None:
    """The first picture's latents [C,h,w] out of whatever layout a pipeline uses, free of the scheduler's scale; None
    if unknown.
    """
    plain = unpacked(latents, pipe, width, height)
    return None if plain is None else plain[0] / _scale(pipe.scheduler)


def unpacked(latents: torch.Tensor, pipe: Any, width: int, height: int) -> torch.Tensor | None:
    """Latents of a picture of ``width`` x ``height`` px as [N,C,h,w], out of whatever layout a pipeline uses; None if
    unknown.
    """
    if latents.ndim == 3 and hasattr(pipe, "_unpack_latents"):
        scaled = "vae_scale_factor" in inspect.signature(pipe._unpack_latents).parameters
        latents = pipe._unpack_latents(latents, height, width, *([pipe.vae_scale_factor] if scaled else []))
    elif latents.ndim == 3 and hasattr(pipe, "_unpatchify_latents") and hasattr(pipe.vae, "bn"):
        latents = _unpatched(latents, pipe, width, height)
    if latents.ndim == 5:
        latents = latents[:, :, 0]
    vae = getattr(pipe, "vae", None)
    known = latents.ndim == 4 and vae is not None and latents.shape[1] == latent_channels(vae.config)
    return latents if known else None


def _unpatched(latents: torch.Tensor, pipe: Any, width: int, height: int) -> torch.Tensor:
    """FLUX.2's latents [N, patches, 4C], normalized by running statistics of its VAE, as that VAE's own [N,C,h,w]."""
    patch_px, vae = 2 * pipe.vae_scale_factor, pipe.vae
    grid = latents.mT.reshape(latents.shape[0], -1, height // patch_px, width // patch_px)
    mean, variance = (row.view(1, -1, 1, 1).to(grid) for row in (vae.bn.running_mean, vae.bn.running_var))
    plain: torch.Tensor = pipe._unpatchify_latents(grid * (variance + vae.config.batch_norm_eps).sqrt() + mean)
    return plain


def _scale(scheduler: Any) -> float:
    """How much larger than unit variance a scheduler's latents are now: those that count in sigmas keep the noise at
    full height.
    """
    sigmas, index = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    if sigmas is None or index is None or float(getattr(scheduler, "init_noise_sigma", 1.0)) < 1.5:
        return 1.0
    return float((float(sigmas[min(index, len(sigmas) - 1)]) ** 2 + 1) ** 0.5)
