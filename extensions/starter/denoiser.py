"""Training's last stage: latents and captions -> UNet2DConditionModel.

v-prediction (Salimans and Ho 2022) over Stable Diffusion's scaled_linear betas, with min-SNR weights (Hang et al. 2023)
where asked for. The text encoder stays as the text stage left it: trained by this loss as well, it forgets what few
pixels show (glasses, mood), because so little of the loss depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from .config import DenoiserConfig, TrainingConfig
from .data import HELD_OUT, grid, masks
from .export import BETAS, EXAMPLES, assemble, load_pipeline, sample
from .latents import best_autoencoder, first_autoencoder, latent_pool
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .scope import scope_named, scope_of
from .text import load_text_encoder, token_ids
from .tokens import load_tokenizer
from .warm import warm_start
from .world import Subject

# A mask is drawn this much larger than the latent that it weighs, and averaged.
_MASK_SCALE = 4


@dataclass(frozen=True)
class Networks:
    """The UNet that the denoiser stage trains, and the text encoder and tokenizer it reads captions with."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    tokenizer: CLIPTokenizer

    def context(self, captions: list[str], device: torch.device) -> Tensor:
        """Captions -> text states [N, 77, width]."""
        with torch.no_grad():
            states: Tensor = self.text(token_ids(self.tokenizer, captions).to(device))[0]
        return states


def build_unet(
    part: DenoiserConfig, latent_channels: int, latent_size: int, in_channels: int = 0
) -> UNet2DConditionModel:
    """An untrained UNet in Stable Diffusion's layout: text reaches every level but the widest.

    `in_channels`: where the input has more channels than a latent.
    """
    n = len(part.channels)
    unet = UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=in_channels or latent_channels,
        out_channels=latent_channels,
        down_block_types=("DownBlock2D", *("CrossAttnDownBlock2D",) * (n - 1)),
        up_block_types=(*("CrossAttnUpBlock2D",) * (n - 1), "UpBlock2D"),
        block_out_channels=part.channels,
        layers_per_block=part.layers,
        norm_num_groups=8,
        cross_attention_dim=part.text_width,
        attention_head_dim=tuple(max(1, c // part.head_dim) for c in part.channels),
    )
    _zero_outputs(unet)
    return unet


@torch.no_grad()
def _zero_outputs(unet: UNet2DConditionModel) -> None:
    """Start every residual branch and the output at zero: the first steps then learn the data's mean calmly."""
    unet.conv_out.weight.zero_()
    unet.conv_out.bias.zero_()
    for name, module in unet.named_modules():
        if name.endswith(("conv2", "proj_out")) and hasattr(module, "weight"):
            module.weight.zero_()
            if module.bias is not None:
                module.bias.zero_()


def train_denoiser(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training from `folder`/vae; writes sheets on the way and the whole pipeline to `folder`/avatar."""
    part, hooks = config.denoiser, hooks or Hooks()
    vae = first_autoencoder(config, folder).to(config.device)
    pool = latent_pool(config, vae, folder, hooks)
    tokenizer = load_tokenizer(folder / "tokenizer")
    torch.manual_seed(config.seed + 1)
    unet = build_unet(part, pool.shape[1], pool.shape[2]).to(config.device)
    warm_start(unet, config, "avatar/unet")
    nets = Networks(unet, load_text_encoder(config, folder, tokenizer).to(config.device), tokenizer)
    stage = Stage(
        "denoiser",
        {"unet": nets.unet},
        folder,
        part,
        config,
    )
    stage.resume()
    scheduler = DDPMScheduler(**BETAS, prediction_type="v_prediction")

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        return denoising_loss(config, nets, scheduler, pool, step), {}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                assemble(
                    best_autoencoder(config, folder),
                    nets.unet,
                    nets.text,
                    folder / "tokenizer",
                    folder / "avatar",
                    guidance=part.guidance,
                    scope=config.scope,
                )
            preview(folder / "avatar", part).save(folder / f"denoiser-{step:06d}.png")

    stage.run(loss_at, hooks, after)
    return folder / "avatar"


def denoising_loss(config: TrainingConfig, nets: Networks, scheduler: DDPMScheduler, pool: Tensor, step: int) -> Tensor:
    """The weighted v-prediction loss of step number `step`'s batch."""
    part, device = config.denoiser, torch.device(config.device)
    generator = step_generator(config.seed, "denoiser", step)
    chosen = torch.randint(0, len(pool), (part.batch,), generator=generator)
    drop = torch.rand(part.batch, generator=generator) < part.caption_drop
    noise = torch.randn((part.batch, *pool.shape[1:]), generator=generator).to(device)
    times = time_steps(part, part.batch, generator).to(device)
    scope = scope_named(config.scope)
    subjects = [scope.subject(i) for i in chosen.tolist()]
    captions = [
        "" if dropped else scope.caption(subject, step * part.batch + k).text
        for k, (subject, dropped) in enumerate(zip(subjects, drop.tolist(), strict=True))
    ]
    latents = pool[chosen].float().to(device)
    noisy = scheduler.add_noise(latents, noise, times)
    target = scheduler.get_velocity(latents, noise, times)
    with mixed(device):
        made = nets.unet(noisy, times, nets.context(captions, device)).sample
    error = (made.float() - target).square() * place_weights(subjects, part, pool.shape[-1]).to(device)
    weights = torch.ones_like(times, dtype=torch.float32)
    if part.min_snr_gamma:
        alphas = scheduler.alphas_cumprod.to(device)[times]
        snr = alphas / (1 - alphas)
        weights = snr.clamp(max=part.min_snr_gamma) / (snr + 1)
    return (weights * error.mean(dim=(1, 2, 3))).mean() / weights.mean()


def time_steps(part: DenoiserConfig, count: int, generator: torch.Generator) -> Tensor:
    """int64 [count]: stratified over 0..999, so that the loss varies less; a share of them from `high_noise_from` on.

    Whether someone wears glasses can be seen in the noisy picture itself below step 700, and how they feel below some
    450: only above that is the caption needed, and learned.
    """
    late = round(count * part.high_noise)
    shares = [(0, 1000, count - late), (part.high_noise_from, 1000, late)]
    drawn = [
        low + (torch.arange(n) + torch.rand(n, generator=generator)) / max(n, 1) * (high - low)
        for low, high, n in shares
    ]
    return torch.cat(drawn).long().clamp(max=999)


def place_weights(subjects: list[Subject], part: DenoiserConfig, side: int) -> Tensor:
    """float32 [N,1,side,side], each of mean 1: what is small and matters counts more (a face's features, an animal)."""
    where = functional.avg_pool2d(masks(subjects, side * _MASK_SCALE), _MASK_SCALE)
    weights = 1 + part.feature_weight * where
    return weights / weights.mean(dim=(1, 2, 3), keepdim=True)


def preview(folder: Path, part: DenoiserConfig) -> Image.Image:
    """A sheet: each example prompt and three held-out captions with the same few seeds."""
    scope = scope_of(folder)
    pipeline = load_pipeline(folder)
    held_out = [scope.caption(scope.subject(HELD_OUT + i), i).text for i in range(3)]
    seeds = list(range(1, part.preview_seeds + 1))
    images = []
    for prompt in (*(p for _, p in EXAMPLES), *held_out):
        images += sample(pipeline, [prompt] * len(seeds), seeds, steps=part.preview_steps, guidance=part.guidance)
    return grid(images, len(seeds) * 2)
