"""A stage beside the base: pairs of drawings and the instruction between them -> an editing UNet.

InstructPix2Pix's layout (Brooks et al. 2023): the picture's latent stands beside the noisy one in the UNet's input, and
dropping it, the instruction or both while training makes room for two guidance scales.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import StableDiffusionInstructPix2PixPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor

from .base import Base, add_noise, base_folder, load_base
from .config import EditConfig, TrainingConfig
from .data import HELD_OUT, grid, pictures
from .denoiser import build_unet
from .export import load_pipeline, model_index, sampling, save_half
from .latents import kept_pool
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .scope import scope_named
from .warm import copy_fitting, warm_start
from .world import Edit, draw

# What the editing model takes from the base's directory instead of holding it twice.
SHARED_PARTS = {"vae", "text_encoder", "tokenizer", "scheduler"}
_CHANGED_FROM = 0.1
_EXAMPLES = (
    ("Sunglasses", "add sunglasses"),
    ("Blue hair", "make the hair blue"),
    ("A smile", "have the person smile"),
    ("Winter", "turn it into winter"),
    ("戴上眼镜", "戴上眼镜"),
)


def build_editor(config: TrainingConfig, base: Base) -> UNet2DConditionModel:
    """A UNet of the base's layout with twice the input channels.

    One as wide as the base begins as the base, blind to the picture; a narrower one begins untrained.
    """
    latent = base.nets.unet.config["in_channels"]
    shape = config.denoiser.model_copy(update={"channels": config.edit.channels})
    unet = build_unet(shape, latent, base.nets.unet.config["sample_size"], in_channels=2 * latent)
    if config.edit.channels == config.denoiser.channels:
        with torch.no_grad():
            unet.conv_in.weight.zero_()
        copy_fitting(unet, base.nets.unet.state_dict())
    return unet


def train_editor(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training; writes sheets on the way and the editing model to `folder`/edit."""
    part, hooks = config.edit, hooks or Hooks()
    base = load_base(config, folder)
    before, after_latents = edit_pools(config, base, folder, hooks)
    torch.manual_seed(config.seed + 7)
    unet = build_editor(config, base)
    warm_start(unet, config, "edit/unet", optional=True)
    unet.to(config.device)
    stage = Stage("edit", {"unet": unet}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        return editing_loss(config, base, unet, before, after_latents, step), {}

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                save_editor(unet, folder / "edit", config)
            preview(folder / "edit", base_folder(config, folder), config).save(folder / f"edit-{step:06d}.png")

    stage.run(loss_at, hooks, after)
    return folder / "edit"


def edit_pools(config: TrainingConfig, base: Base, folder: Path, hooks: Hooks) -> tuple[Tensor, Tensor]:
    """Latents float16 [pool,C,h,w] before and after the edits of seeds 0 .. pool - 1, encoded once."""

    scope = scope_named(config.scope)

    def pool_of(side: str) -> Tensor:
        return kept_pool(
            folder / f"latents-{side}.pt",
            base.vae,
            config.edit.pool,
            lambda start, count: pictures(
                [getattr(scope.edit(i), side) for i in range(start, start + count)], config.size
            ),
            hooks,
        )

    return pool_of("before"), pool_of("after")


def editing_loss(
    config: TrainingConfig, base: Base, unet: UNet2DConditionModel, before: Tensor, after: Tensor, step: int
) -> Tensor:
    """The v-prediction loss of step number `step`'s batch, with more weight on the places that the edit changes."""
    part = config.edit
    generator = step_generator(config.seed, "edit", step)
    chosen = torch.randint(0, len(before), (part.batch,), generator=generator)
    no_text, no_picture = dropped(part, generator)
    scope = scope_named(config.scope)
    instructions = [
        "" if drop else scope.edit(i).instruction for i, drop in zip(chosen.tolist(), no_text.tolist(), strict=True)
    ]
    source, goal = before[chosen].float(), after[chosen].float()
    noised = add_noise(base, config, goal, generator)
    weights = 1 + part.changed_weight * ((goal - source).abs().amax(1, keepdim=True) > _CHANGED_FROM).float()
    weights = (weights / weights.mean(dim=(1, 2, 3), keepdim=True)).to(base.device)
    source = (source * ~no_picture.view(-1, 1, 1, 1)).to(base.device)
    context = base.nets.context(instructions, base.device)
    with mixed(base.device):
        made = unet(torch.cat([noised.latents, source], dim=1), noised.times, context).sample
    return ((made.float() - noised.target).square() * weights).mean()


def dropped(part: EditConfig, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """bool [batch] twice: who goes without the instruction, and who without the picture; some without both."""
    u = torch.rand(part.batch, generator=generator)
    text, picture = part.caption_drop, part.caption_drop + part.image_drop
    both = (u >= picture) & (u < picture + part.both_drop)
    return (u < text) | both, ((u >= text) & (u < picture)) | both


def save_editor(unet: UNet2DConditionModel, folder: Path, config: TrainingConfig) -> None:
    """The editing model's directory: its own UNet, and a model_index.json that names what it shares with ../avatar."""
    save_half(unet, folder / "unet")
    shared = {name: f"../avatar/{name}" for name in sorted(SHARED_PARTS)}
    index = {**model_index("StableDiffusionInstructPix2PixPipeline"), "_shared": shared}
    about = {
        "title": "Starter editing",
        "recommended": {
            "width": config.size,
            "height": config.size,
            "steps": 20,
            "guidance_scale": config.denoiser.guidance,
            "image_guidance_scale": config.edit.image_guidance,
        },
        "examples": [{"title": title, "prompt": prompt} for title, prompt in _EXAMPLES],
    }
    for name, content in (("model_index.json", index), ("lifelike.json", about)):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_editor(folder: Path, base: Path | None = None) -> StableDiffusionInstructPix2PixPipeline:
    """The editing pipeline in float32; what it shares comes from `base`, or from where its index says."""
    shared = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_shared"]
    place = base or (folder / shared["vae"]).resolve().parent
    parts = {n: p for n, p in load_pipeline(place).components.items() if n in SHARED_PARTS}
    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32, local_files_only=True)
    pipeline = StableDiffusionInstructPix2PixPipeline(
        **parts, unet=unet, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def edited(
    pipeline: StableDiffusionInstructPix2PixPipeline,
    edits: list[Edit],
    seeds: list[int],
    *,
    size: int,
    steps: int,
    guidance: float,
    image_guidance: float,
) -> list[Image.Image]:
    """What the pipeline makes of each edit's picture and instruction."""
    return sampling(
        pipeline,
        seeds,
        prompt=[e.instruction for e in edits],
        image=[draw(e.before, size) for e in edits],
        num_inference_steps=steps,
        guidance_scale=guidance,
        image_guidance_scale=image_guidance,
    )


def preview(folder: Path, base: Path, config: TrainingConfig) -> Image.Image:
    """Held-out edits: the picture before, what the model makes of it, and the drawing it should be."""
    count = 2 * config.denoiser.preview_seeds
    edits = [scope_named(config.scope).edit(HELD_OUT + i) for i in range(count)]
    made = edited(
        load_editor(folder, base),
        edits,
        list(range(count)),
        size=config.size,
        steps=config.denoiser.preview_steps,
        guidance=config.denoiser.guidance,
        image_guidance=config.edit.image_guidance,
    )
    before, after = (
        [draw(s, config.size) for s in row] for row in ([e.before for e in edits], [e.after for e in edits])
    )
    return grid([*before, *made, *after], count)
