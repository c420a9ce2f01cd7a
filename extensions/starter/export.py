"""After training: trained parts -> a diffusers directory that StableDiffusionPipeline loads, and pictures from it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from torch import nn
from transformers import CLIPTextModel

from .precision import mixed

BETAS = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}

EXAMPLES = (
    ("Red hair", "a smiling person with long red hair and glasses, blue background"),
    ("Angry beard", "an angry person with short black hair and a beard, green background"),
    ("Sad queen", "a sad person with pink pigtails, wearing a crown, yellow background"),
    (
        "Cool grandpa",
        "a laughing person with grey curly hair, a mustache and sunglasses, in a red shirt, white background",
    ),
    ("Winter", "a surprised person with blond hair, wearing a beanie and a purple sweater, pink background"),
    ("By the sea", "the sea on a clear summer day with palms and a white house, the sun in the sky"),
    ("Winter windmill", "a red windmill and pine trees in the hills, a sheep, it is snowing"),
    ("戴眼镜的人", "一个微笑的人，红色长发，戴着眼镜，蓝色背景"),
)


def assemble(
    vae: AutoencoderKL,
    unet: UNet2DConditionModel,
    text: CLIPTextModel,
    tokenizer: Path,
    folder: Path,
    *,
    guidance: float,
    scope: str = "whole",
) -> None:
    """Write the whole pipeline in half precision to `folder`, replacing what was there in one step."""
    building = folder.with_name(f"{folder.name}.tmp{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    for name, module in (("vae", vae), ("unet", unet), ("text_encoder", text)):
        save_half(module, building / name)
    shutil.copytree(tokenizer, building / "tokenizer")
    scheduler = EulerDiscreteScheduler(
        **BETAS, prediction_type="v_prediction", timestep_spacing="trailing", steps_offset=1
    )
    scheduler.save_pretrained(building / "scheduler")
    index = model_index("StableDiffusionPipeline")
    (building / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    size = vae.config.sample_size
    about = {
        "title": "Starter",
        "scope": scope,
        "recommended": {"width": size, "height": size, "steps": 20, "guidance_scale": guidance},
        "examples": [{"title": title, "prompt": prompt} for title, prompt in EXAMPLES],
    }
    (building / "lifelike.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(building, folder)


def model_index(pipeline: str) -> dict[str, object]:
    """The model_index.json of a pipeline class with Stable Diffusion's components and no safety checker."""
    return {
        "_class_name": pipeline,
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def save_half(module: nn.Module, folder: Path) -> None:
    """Write one network in half precision, as save_pretrained lays it out."""
    if isinstance(module, CLIPTextModel):
        twin: nn.Module = CLIPTextModel(module.config)
    else:
        # What begins with an underscore tells where the training ran, which is nobody's business.
        twin = type(module).from_config({k: v for k, v in module.config.items() if not k.startswith("_")})
    twin.load_state_dict(module.state_dict())
    twin.half().save_pretrained(folder, safe_serialization=True)
    for file in folder.iterdir():
        # Libraries write weights readable by their owner alone; a bundled model is for everyone.
        file.chmod(0o644)


def load_pipeline(folder: Path, device: str = "cpu") -> StableDiffusionPipeline:
    """The pipeline of a model directory, in float32, without network access and without a progress bar."""
    pipeline = StableDiffusionPipeline.from_pretrained(str(folder), local_files_only=True, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def sample(
    pipeline: StableDiffusionPipeline, prompts: list[str], seeds: list[int], *, steps: int = 20, guidance: float = 4.0
) -> list[Image.Image]:
    """One picture for each prompt with its own seed."""
    return sampling(pipeline, seeds, prompt=prompts, num_inference_steps=steps, guidance_scale=guidance)


def sampling(pipeline: DiffusionPipeline, seeds: list[int], **arguments: Any) -> list[Image.Image]:
    """The pictures of one call of any pipeline, each with the randomness of its own seed."""
    generators = [torch.Generator("cpu").manual_seed(s) for s in seeds]
    with torch.inference_mode(), mixed(pipeline.device):
        images: list[Image.Image] = pipeline(**arguments, generator=generators).images
    return images
