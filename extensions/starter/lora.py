"""A stage beside the base: pictures of one drawing style under captions that do not name it -> a LoRA of that style."""

from __future__ import annotations

import shutil
from pathlib import Path

import peft
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft.utils import get_peft_model_state_dict
from PIL import Image
from torch import Tensor, nn

from .base import Base, add_noise, base_folder, load_base
from .config import TrainingConfig
from .data import HELD_OUT, grid, pictures
from .denoiser import place_weights
from .export import load_pipeline, sample
from .latents import kept_pool
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .scope import Scope, scope_named
from .world import SPECS, Subject

PLAIN = "flat"
# Attention alone hardly redraws textures; the projections around it and the feed-forward layers help it.
_TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"]
_WEIGHTS = "pytorch_lora_weights.safetensors"


def drawing_styles(config: TrainingConfig) -> tuple[str, ...]:
    """The styles that get a LoRA."""
    return config.lora.styles or tuple(s for s in SPECS["avatar"]["style"] if s != PLAIN)


def train_loras(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training every style; writes `folder`/lora/<style>/pytorch_lora_weights.safetensors."""
    for style in drawing_styles(config):
        _train_style(config, folder, style, hooks or Hooks())
    return folder / "lora"


def add_lora(unet: UNet2DConditionModel, rank: int) -> nn.ParameterList:
    """Put an untrained LoRA of this rank into a kept UNet; returns its parameters. At first it changes nothing."""
    unet.add_adapter(peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=_TARGETS, init_lora_weights="gaussian"))
    return nn.ParameterList([p for p in unet.parameters() if p.requires_grad])


def _train_style(config: TrainingConfig, folder: Path, style: str, hooks: Hooks) -> None:
    part, name, scope = config.lora, f"lora-{style}", scope_named(config.scope)
    base = load_base(config, folder)
    pool = kept_pool(
        folder / f"latents-{style}.pt",
        base.vae,
        part.pool,
        lambda start, count: pictures([in_style(scope, i, style) for i in range(start, start + count)], config.size),
        hooks,
    )
    torch.manual_seed(config.seed + 6)
    stage = Stage(name, {"lora": add_lora(base.nets.unet, part.rank)}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        return style_loss(config, base, pool, name, step), {}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                save_lora(base.nets.unet, folder / "lora" / style)
            preview(base_folder(config, folder), folder / "lora" / style, config).save(
                folder / f"{name}-{step:06d}.png"
            )

    stage.run(loss_at, hooks, after)


def in_style(scope: Scope, seed: int, style: str) -> Subject:
    """The subject of this seed, drawn in this style."""
    return scope.subject(seed).with_(style=style)


def style_loss(config: TrainingConfig, base: Base, pool: Tensor, name: str, step: int) -> Tensor:
    """The base's v-prediction loss over pictures of the style whose captions tell of the flat drawing."""
    part = config.lora
    generator = step_generator(config.seed, name, step)
    chosen = torch.randint(0, len(pool), (part.batch,), generator=generator)
    scope = scope_named(config.scope)
    subjects = [in_style(scope, i, PLAIN) for i in chosen.tolist()]
    captions = [scope.caption(s, step * part.batch + k).text for k, s in enumerate(subjects)]
    noised = add_noise(base, config, pool[chosen].float(), generator)
    context = base.nets.context(captions, base.device)
    with mixed(base.device):
        made = base.nets.unet(noised.latents, noised.times, context).sample
    weights = place_weights(subjects, config.denoiser, pool.shape[-1]).to(base.device)
    return ((made.float() - noised.target).square() * weights).mean()


def save_lora(unet: UNet2DConditionModel, folder: Path) -> None:
    """Half-precision adapter weights under diffusers' names (peft's lora_A and lora_B); alpha is the rank.

    With alpha equal to the rank, readers that know no alpha apply it as it was trained.
    """
    state = get_peft_model_state_dict(unet)
    building = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    StableDiffusionPipeline.save_lora_weights(
        building, unet_lora_layers={k: v.detach().half().cpu().contiguous() for k, v in state.items()}
    )
    (building / _WEIGHTS).chmod(0o644)
    shutil.rmtree(folder, ignore_errors=True)
    building.replace(folder)


def preview(base: Path, lora: Path, config: TrainingConfig) -> Image.Image:
    """Pictures of flat captions without the LoRA above the same seeds with it."""
    pipeline, count = load_pipeline(base), 2 * config.denoiser.preview_seeds
    scope = scope_named(config.scope)
    subjects = [in_style(scope, HELD_OUT + i, PLAIN) for i in range(count)]
    prompts = [scope.caption(s, HELD_OUT + i).text for i, s in enumerate(subjects)]
    seeds, settings = list(range(count)), config.denoiser
    plain = sample(pipeline, prompts, seeds, steps=settings.preview_steps, guidance=settings.guidance)
    pipeline.load_lora_weights(lora, weight_name=_WEIGHTS)
    styled = sample(pipeline, prompts, seeds, steps=settings.preview_steps, guidance=settings.guidance)
    return grid([*plain, *styled], count)
