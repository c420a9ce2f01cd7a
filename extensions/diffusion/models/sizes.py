"""Between the size that was asked for and the one that a model can draw."""

from __future__ import annotations

from typing import Any

from .loading import Plan


def size_multiple(pipe: Any, plan: Plan) -> int:
    """What width and height must be multiples of, in pixels: the VAE's scale times the denoiser's patch."""
    prior = getattr(pipe, "prior_pipe", None)
    if prior is not None and "resolution_multiple" in prior.config:
        # Stable Cascade: each of the prior's latents spans 42.67 px, and only three of them fill whole pixels.
        return round(3 * float(prior.config["resolution_multiple"]))
    scale = int(getattr(pipe, "vae_scale_factor", 8) or 8)
    denoiser = plan.config("transformer", "unet")
    patch = denoiser.get("patch_size") or 1
    patch = max(patch) if isinstance(patch, (list, tuple)) else int(patch)
    latent = plan.config("vae").get("latent_channels")
    packed = isinstance(latent, int) and denoiser.get("in_channels") == 4 * latent
    return scale * max(patch, 2 if packed else 1)


def fit_size(width: int, height: int, multiple: int) -> tuple[int, int]:
    """The nearest size that the model can draw."""
    return _nearest(width, multiple), _nearest(height, multiple)


def _nearest(value: int, multiple: int) -> int:
    return max(multiple, (value + multiple // 2) // multiple * multiple)
