"""Training's last stage: latents and captions -> CLIPTextModel and UNet2DConditionModel, trained together.

v-prediction (Salimans and Ho 2022) over Stable Diffusion's scaled_linear betas with min-SNR weights (Hang et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .config import DenoiserConfig, TrainingConfig
from .data import HELD_OUT, grid
from .export import assemble, load_pipeline, sample
from .latents import best_autoencoder, latent_pool
from .loop import Hooks, Stage, step_generator
from .tokens import MAX_LENGTH, load_tokenizer, save_tokenizer
from .world import caption, sample_avatar

BETAS = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
PREVIEW_PROMPTS = (
    "a smiling person with long red hair and glasses, blue background",
    "an angry person with short black hair and a beard, green background",
    "a sad person with pink pigtails, wearing a crown, yellow background",
    "a laughing bald person with a mustache and sunglasses, white background",
)


@dataclass(frozen=True)
class Networks:
    """What the denoiser stage trains, and the tokenizer it reads captions with."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    tokenizer: CLIPTokenizer

    def context(self, captions: list[str], device: torch.device) -> Tensor:
        """Captions -> text states [N, 77, width]."""
        ids = self.tokenizer(
            captions, padding="max_length", truncation=True, max_length=MAX_LENGTH, return_tensors="pt"
        ).input_ids
        return self.text(ids.to(device))[0]


def build_networks(part: DenoiserConfig, latent_channels: int, latent_size: int, tokenizer: CLIPTokenizer) -> Networks:
    """Untrained networks in Stable Diffusion's layout: text reaches every level but the widest."""
    n = len(part.channels)
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=part.text_width,
            intermediate_size=part.text_hidden,
            projection_dim=part.text_width,
            num_hidden_layers=part.text_layers,
            num_attention_heads=part.text_width // 64,
            max_position_embeddings=MAX_LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            attention_dropout=0.0,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=latent_size,
        in_channels=latent_channels,
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
    return Networks(unet, text, tokenizer)


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
    vae = AutoencoderKL.from_pretrained(folder / "vae", local_files_only=True).to(config.device).eval()
    pool = latent_pool(config, vae, folder, hooks)
    save_tokenizer(folder / "tokenizer")
    tokenizer = load_tokenizer(folder / "tokenizer")
    torch.manual_seed(config.seed + 1)
    nets = build_networks(part, pool.shape[1], pool.shape[2], tokenizer)
    nets.unet.to(config.device)
    nets.text.to(config.device)
    stage = Stage(
        "denoiser",
        {"unet": nets.unet, "text": nets.text},
        folder,
        rate=part.rate,
        steps=part.steps,
        decay=part.decay,
        ema=part.ema,
        save_every=config.save_every,
        log_every=config.log_every,
    )
    stage.resume()
    scheduler = DDPMScheduler(**BETAS, prediction_type="v_prediction")

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        return denoising_loss(config, nets, scheduler, pool, step), {}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                assemble(best_autoencoder(folder), nets.unet, nets.text, folder / "tokenizer", folder / "avatar")
            preview(folder / "avatar", part.guidance).save(folder / f"denoiser-{step:06d}.png")

    stage.run(loss_at, hooks, after)
    return folder / "avatar"


def denoising_loss(config: TrainingConfig, nets: Networks, scheduler: DDPMScheduler, pool: Tensor, step: int) -> Tensor:
    """The min-SNR weighted v-prediction loss of step number `step`'s batch."""
    part, device = config.denoiser, torch.device(config.device)
    generator = step_generator(config.seed, "denoiser", step)
    chosen = torch.randint(0, len(pool), (part.batch,), generator=generator)
    drop = torch.rand(part.batch, generator=generator) < part.caption_drop
    noise = torch.randn((part.batch, *pool.shape[1:]), generator=generator).to(device)
    # One time step from each of `batch` equal strata: the loss then varies less from step to step.
    strata = (torch.arange(part.batch) + torch.rand(part.batch, generator=generator)) / part.batch
    times = (strata * 1000).long().clamp(max=999).to(device)
    captions = [
        "" if d else caption(sample_avatar(i), step * part.batch + k).text
        for k, (i, d) in enumerate(zip(chosen.tolist(), drop.tolist(), strict=True))
    ]
    latents = pool[chosen].float().to(device)
    noisy = scheduler.add_noise(latents, noise, times)
    target = scheduler.get_velocity(latents, noise, times)
    with torch.autocast(device.type, torch.bfloat16):
        made = nets.unet(noisy, times, nets.context(captions, device)).sample
    alphas = scheduler.alphas_cumprod.to(device)[times]
    snr = alphas / (1 - alphas)
    weights = snr.clamp(max=part.min_snr_gamma) / (snr + 1)
    return (weights * (made.float() - target).square().mean(dim=(1, 2, 3))).mean() / weights.mean()


def preview(folder: Path, guidance: float, seeds: int = 4) -> Image.Image:
    """A sheet: the preview prompts and some held-out captions as rows, seeds as columns."""
    pipeline = load_pipeline(folder)
    held_out = [caption(sample_avatar(HELD_OUT + i), i).text for i in range(2)]
    images = []
    for prompt in (*PREVIEW_PROMPTS, *held_out):
        images += sample(pipeline, [prompt] * seeds, list(range(1, seeds + 1)), guidance=guidance)
    return grid(images, seeds * 2)
