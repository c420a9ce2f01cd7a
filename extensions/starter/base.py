"""What every network beside the base needs: the trained base pipeline's parts, kept as they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from .config import TrainingConfig
from .denoiser import Networks, time_steps
from .export import BETAS
from .tokens import load_tokenizer


@dataclass(frozen=True)
class Base:
    """The base pipeline's networks, without gradients, and the noise that they were trained with."""

    vae: AutoencoderKL
    nets: Networks
    noise: DDPMScheduler

    @property
    def device(self) -> torch.device:
        device: torch.device = self.nets.unet.device
        return device


@dataclass(frozen=True)
class Noised:
    """One batch on the device: noisy latents and v-prediction targets float32 [N,C,h,w], time steps int64 [N]."""

    latents: Tensor
    target: Tensor
    times: Tensor


def base_folder(config: TrainingConfig, folder: Path) -> Path:
    """The base pipeline's directory: the training folder's own, else the start folder's.

    Raises FileNotFoundError where there is neither.
    """
    places = [folder / "avatar"]
    if config.start_folder is not None:
        places.append(config.start_folder / "avatar")
    for place in places:
        if (place / "model_index.json").is_file():
            return place
    raise FileNotFoundError(
        f"base model: there is none at {', '.join(map(str, places))}; train the stage denoiser first, or set `start` "
        "to bundled"
    )


def load_base(config: TrainingConfig, folder: Path) -> Base:
    """The base of this training run in float32 on the configured device, for training something beside it."""
    place = base_folder(config, folder)
    vae = AutoencoderKL.from_pretrained(place / "vae", torch_dtype=torch.float32, local_files_only=True)
    unet = UNet2DConditionModel.from_pretrained(place / "unet", torch_dtype=torch.float32, local_files_only=True)
    text = CLIPTextModel.from_pretrained(place / "text_encoder", dtype=torch.float32, local_files_only=True)
    tokenizer: CLIPTokenizer = load_tokenizer(place / "tokenizer")
    for module in (vae, unet, text):
        module.to(config.device).eval().requires_grad_(False)
    return Base(vae, Networks(unet, text, tokenizer), DDPMScheduler(**BETAS, prediction_type="v_prediction"))


def add_noise(base: Base, config: TrainingConfig, latents: Tensor, generator: torch.Generator) -> Noised:
    """Noise for latents float32 [N,C,h,w], at the time steps that the denoiser stage prefers."""
    times = time_steps(config.denoiser, len(latents), generator).to(base.device)
    noise = torch.randn(latents.shape, generator=generator).to(base.device)
    latents = latents.to(base.device)
    return Noised(base.noise.add_noise(latents, noise, times), base.noise.get_velocity(latents, noise, times), times)
