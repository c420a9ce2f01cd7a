"""Weights files and diffusers folders written by hand, byte for byte, for the catalog to read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from webui.core.settings import Settings

SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (8, 768),
    "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
}
SD2 = {
    **SD1,
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024),
    "cond_stage_model.model.token_embedding.weight": (8, 1024),
}
SDXL = {
    "model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3),
    "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
    "conditioner.embedders.0.transformer.text_model.embeddings.token_embedding.weight": (8, 768),
    "conditioner.embedders.1.model.token_embedding.weight": (8, 1280),
    "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
}


def table(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F16") -> dict[str, Any]:
    """A safetensors table for tensors of 2-byte items."""
    rows, place = {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape) * 2
        rows[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [place, place + size]}
        place += size
    return rows


def write_weights(
    path: Path,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    metadata: Mapping[str, str] | None = None,
    missing_bytes: int = 0,
) -> Path:
    """A safetensors file; its data is a hole in the file. ``missing_bytes`` are cut off its end."""
    rows = table(shapes)
    end = max((row["data_offsets"][1] for row in rows.values()), default=0)
    raw = json.dumps({**({"__metadata__": dict(metadata)} if metadata else {}), **rows}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(len(raw).to_bytes(8, "little") + raw)
        stream.truncate(8 + len(raw) + end - missing_bytes)
    return path


def write_json(path: Path, body: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body), encoding="utf-8")


def write_folder(
    folder: Path, *, index: Mapping[str, Any] | None = None, unet: Mapping[str, Any] | None = None
) -> Path:
    """A diffusers folder in Stable Diffusion's layout, with weights of a few bytes."""
    whole = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "safety_checker": [None, None],
    }
    write_json(folder / "model_index.json", {**whole, **(index or {})})
    write_json(
        folder / "unet" / "config.json",
        {"sample_size": 16, "in_channels": 4, "cross_attention_dim": 768, **(unet or {})},
    )
    write_json(folder / "vae" / "config.json", {"block_out_channels": [8, 8, 8, 8], "latent_channels": 4})
    write_json(folder / "text_encoder" / "config.json", {})
    write_json(folder / "scheduler" / "scheduler_config.json", {"prediction_type": "v_prediction"})
    write_json(folder / "tokenizer" / "vocab.json", {})
    for name in ("unet", "vae", "text_encoder"):
        write_weights(folder / name / "model.safetensors", {"weight": (2, 2)})
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with one empty models folder."""
    (tmp_path / "models").mkdir()
    return Settings(data_dir=tmp_path / "data", models_dirs=(tmp_path / "models",))


@pytest.fixture
def models(settings: Settings) -> Path:
    return settings.models_dirs[0]
