"""A stage beside the base: line drawings and captions -> a small ControlNet (Zhang et al. 2023) for the kept base."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image
from torch import Tensor

from .base import Base, add_noise, base_folder, load_base
from .config import TrainingConfig
from .data import HELD_OUT, grid, line_pictures
from .denoiser import place_weights
from .export import load_pipeline, sampling, save_half
from .latents import latent_pool
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .scope import scope_named
from .warm import copy_fitting, warm_start
from .world import line_drawing

PLACE = "controlnet/lines"
"""Where it lies beside the base: in a folder that names it, as ControlNets do among models."""


def build_controlnet(config: TrainingConfig, base: Base) -> ControlNetModel:
    """An untrained ControlNet that fits the base's UNet and begins with its convolutions; no attention, so it is small.

    Its outputs begin at zero, so at first it changes nothing.
    """
    unet = base.nets.unet.config
    channels = unet["block_out_channels"]
    model = ControlNetModel(
        in_channels=unet["in_channels"],
        conditioning_channels=3,
        down_block_types=("DownBlock2D",) * len(channels),
        mid_block_type="UNetMidBlock2D",
        block_out_channels=tuple(channels),
        layers_per_block=unet["layers_per_block"],
        norm_num_groups=unet["norm_num_groups"],
        cross_attention_dim=unet["cross_attention_dim"],
        attention_head_dim=unet["attention_head_dim"],
        conditioning_embedding_out_channels=config.controlnet.conditioning_channels,
    )
    copy_fitting(model, base.nets.unet.state_dict())
    return model


def train_controlnet(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training; writes sheets on the way and the network to `folder`/controlnet/lines."""
    part, hooks = config.controlnet, hooks or Hooks()
    base = load_base(config, folder)
    pool = latent_pool(config, base.vae, folder, hooks, count=part.pool)
    torch.manual_seed(config.seed + 5)
    model = build_controlnet(config, base)
    warm_start(model, config, PLACE, optional=True)
    model.to(config.device)
    stage = Stage("controlnet", {"controlnet": model}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        return control_loss(config, base, model, pool, step), {}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                save_half(model, folder / PLACE)
            preview(base_folder(config, folder), folder / PLACE, config).save(folder / f"controlnet-{step:06d}.png")

    stage.run(loss_at, hooks, after)
    return folder / PLACE


def control_loss(config: TrainingConfig, base: Base, model: ControlNetModel, pool: Tensor, step: int) -> Tensor:
    """The base's v-prediction loss with the ControlNet's residuals, over step number `step`'s batch."""
    part = config.controlnet
    generator = step_generator(config.seed, "controlnet", step)
    chosen = torch.randint(0, len(pool), (part.batch,), generator=generator)
    drop = torch.rand(part.batch, generator=generator) < part.caption_drop
    scope = scope_named(config.scope)
    subjects = [scope.subject(i) for i in chosen.tolist()]
    captions = [
        "" if dropped else scope.caption(subject, step * part.batch + k).text
        for k, (subject, dropped) in enumerate(zip(subjects, drop.tolist(), strict=True))
    ]
    noised = add_noise(base, config, pool[chosen].float(), generator)
    lines = line_pictures(subjects, config.size).to(base.device)
    context = base.nets.context(captions, base.device)
    with mixed(base.device):
        down, middle = model(
            noised.latents, noised.times, encoder_hidden_states=context, controlnet_cond=lines, return_dict=False
        )
        made = base.nets.unet(
            noised.latents,
            noised.times,
            context,
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
        ).sample
    weights = place_weights(subjects, config.denoiser, pool.shape[-1]).to(base.device)
    return ((made.float() - noised.target).square() * weights).mean()


def load_control_pipeline(base: Path, controlnet: Path) -> StableDiffusionControlNetPipeline:
    """The base's pipeline with this ControlNet, in float32, sharing nothing with others."""
    parts = load_pipeline(base).components
    model = ControlNetModel.from_pretrained(controlnet, torch_dtype=torch.float32, local_files_only=True)
    pipeline = StableDiffusionControlNetPipeline(**parts, controlnet=model, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def preview(base: Path, controlnet: Path, config: TrainingConfig) -> Image.Image:
    """Line drawings of held-out subjects above pictures made from them and their captions."""
    pipeline = load_control_pipeline(base, controlnet)
    count = 2 * config.denoiser.preview_seeds
    scope = scope_named(config.scope)
    subjects = scope.subjects(HELD_OUT, count)
    lines = [line_drawing(s, config.size) for s in subjects]
    prompts = [scope.caption(s, HELD_OUT + i).text for i, s in enumerate(subjects)]
    made = sampling(
        pipeline,
        list(range(count)),
        prompt=prompts,
        image=lines,
        num_inference_steps=config.denoiser.preview_steps,
        guidance_scale=config.denoiser.guidance,
    )
    return grid([*lines, *made], count)
