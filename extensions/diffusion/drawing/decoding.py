"""From latents to pictures, where the VAE's arithmetic is the plain one; other pipelines decode for themselves."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import made_for

_PLAIN_VAES = ("AutoencoderKL", "AutoencoderTiny")


def is_plain(plan: Plan) -> bool:
    """Whether the denoiser's latents are the VAE's, up to scale and shift: SD, SDXL, SD3, PixArt ... but not packed
    ones.
    """
    if "vae" not in plan.sources or plan.sources["vae"][2] not in _PLAIN_VAES:
        return False
    latent = plan.config("vae").get("latent_channels", 4)
    # What stands beside the latents in a UNet's input (a picture, a mask) is not in its output.
    return bool(plan.config("unet", "transformer").get("in_channels") == latent or made_for(plan))


def latent_channels(config: Any) -> int:
    """How many channels an autoencoder's latents have, by whichever name its configuration has for it."""
    return int(config.get("latent_channels") or config.get("z_dim") or 4)


def unscale(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """Latents as a denoiser sees them, [N,C,h,w], in the VAE's own scale."""
    scaling = config.get("scaling_factor") or 1.0
    mean, std = config.get("latents_mean"), config.get("latents_std")
    if mean is not None and std is not None:
        shape = (1, -1, 1, 1)
        mean = torch.tensor(mean, device=latents.device, dtype=latents.dtype).view(shape)
        std = torch.tensor(std, device=latents.device, dtype=latents.dtype).view(shape)
        return latents * std / scaling + mean
    return latents / scaling + (config.get("shift_factor") or 0.0)


@torch.inference_mode()
def decode(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Float [N,C,h,w] as the denoiser left them -> float [N,3,H,W] in about -1..1, in the VAE's precision."""
    # Scaled in the latents' precision, as the libraries' pipelines do, so that the pixels are theirs.
    scaled = unscale(latents, vae.config).to(vae.dtype)
    if "z_dim" in vae.config:  # a video's autoencoder takes [N,C,frames,h,w]
        return vae.decode(scaled[:, :, None], return_dict=False)[0][:, :, 0]
    return vae.decode(scaled, return_dict=False)[0]


def to_image(pixels: torch.Tensor) -> Image.Image:
    """Float [1,3,H,W] in about -1..1 -> a picture."""
    values = (pixels[0] * 0.5 + 0.5).clamp(0, 1).permute(1, 2, 0).float().cpu().numpy()
    return Image.fromarray((values * 255).round().astype("uint8"))


def is_flat(image: Image.Image) -> bool:
    """Whether a picture has a single colour, which is how NaN looks."""
    extrema = image.convert("RGB").getextrema()
    return all(low == high for low, high in extrema)
