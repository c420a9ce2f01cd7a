"""Finds the image encoder, CLIP's or SigLIP's, that an IP-Adapter reads pictures with (named, beside its file, or among
the models) and makes it a component that the cache loads.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.companions import read_config
from webui.api import Component, ComponentKey, Context, ModelError, ResolvedModel

from .attaching import title_of

KIND = "image_encoder"
_FOLDER = "image_encoder"
_HEADS = 16
"""Of every CLIP image encoder that adapters were published for; a configuration beside the file says it otherwise."""
_SIGLIP = "siglip_vision_model"
_QUICK_GELU_WIDTH = 1024
"""OpenAI's large encoder, the only one of that width, has the quick activation; OpenCLIP's have the exact one."""


@dataclass(frozen=True)
class ImageEncoder:
    """An image encoder on disk."""

    path: Path
    config: Mapping[str, Any]
    context: Context

    def component(self, dtype: torch.dtype) -> Component:
        """To be leased."""
        digest = hashlib.sha256(json.dumps(dict(self.config), sort_keys=True, default=str).encode()).hexdigest()[:16]
        key = ComponentKey.of(self.path, KIND, str(dtype).removeprefix("torch."), config=digest)
        return Component(key, lambda: self._load(dtype))

    def pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """float32 [N, 3, size, size], as CLIP was trained: the middle square; SigLIP sees all."""
        from transformers import CLIPImageProcessor, SiglipImageProcessor

        size = int(self.config["image_size"])
        if self.config.get("model_type") == _SIGLIP:
            whole: torch.Tensor = SiglipImageProcessor(size={"height": size, "width": size})(
                images=list(pictures), return_tensors="pt"
            ).pixel_values
            return whole
        processor = CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size})
        pixels: torch.Tensor = processor(images=list(pictures), return_tensors="pt").pixel_values
        return pixels

    def _load(self, dtype: torch.dtype) -> Any:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, SiglipVisionConfig, SiglipVisionModel

        is_siglip = self.config.get("model_type") == _SIGLIP
        shaped = SiglipVisionConfig if is_siglip else CLIPVisionConfig
        cls: Any = SiglipVisionModel if is_siglip else CLIPVisionModelWithProjection
        known = {key: value for key, value in self.config.items() if not key.startswith("_") and key != "dtype"}
        for name in ("torch_dtype", "model_type", "projection_dim" if is_siglip else ""):
            known.pop(name, None)
        # Newer libraries save SigLIP without the outer name.
        parts = ("",) if is_siglip else ("vision_model.", "visual_projection.")
        tensors = self.context.models.open_weights(self.path, parts)
        tensors = {name: row.to(dtype) for name, row in tensors.items() if not name.endswith(".position_ids")}
        loaded, info = cls.from_pretrained(
            None, config=shaped(**known), state_dict=tensors, dtype=dtype, output_loading_info=True
        )
        if info["missing_keys"]:
            raise ModelError(
                f"Image encoder {self.path.name} lacks {len(info['missing_keys'])} of its tensors, such as "
                f"{min(info['missing_keys'])}."
            )
        return loaded.eval()


def find_encoder(adapter: ResolvedModel, width: tuple[str, int], asked: str, context: Context) -> ImageEncoder:
    """The encoder whose configuration has that ``width`` (name and channels). Raises NotFound, ModelError that says
    what to fetch.
    """
    wanted = f"a {width[0].replace('_', ' ')} of {width[1]}"
    if asked:
        path = context.models.resolve(asked, KIND).path
        found = None if path is None else _read(path, context)
        if found is None or found.config.get(width[0]) != width[1]:
            raise ModelError(
                f"Image encoder {asked!r} is not the one that IP-Adapter {title_of(adapter)!r} was trained with: it "
                f"needs {wanted}."
            )
        return found
    for path in _places(adapter, context):
        found = _read(path, context)
        if found is not None and found.config.get(width[0]) == width[1]:
            return found
    raise ModelError(
        f"IP-Adapter {title_of(adapter)!r} needs its image encoder, with {wanted}, which is nowhere.",
        hint="Put it into image_encoder/ beside the adapter, or into models/clip_vision/: OpenCLIP ViT-H for most "
        "adapters, ViT-bigG for the first ones of SDXL, CLIP ViT-L for FLUX's, SigLIP so400m for Stable Diffusion 3's "
        "and Redux.",
    )


def _places(adapter: ResolvedModel, context: Context) -> Iterator[Path]:
    """Files and folders that may be it, the nearest first."""
    assert adapter.path is not None
    for parent in list(adapter.path.parents)[:3]:
        for folder in (parent / _FOLDER, parent / "models" / _FOLDER, parent / "sdxl_models" / _FOLDER):
            if folder.is_dir():
                yield folder
    for model in context.models.listed(KIND):
        if model.path is not None:
            yield model.path


def _read(path: Path, context: Context) -> ImageEncoder | None:
    """None for what is no image encoder."""
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        files = sorted((*folder.glob("*.safetensors"), *folder.glob("*.bin")), key=lambda one: (one.suffix, one.name))
        path = next(iter(sorted(files, key=lambda one: one.suffix != ".safetensors")), path)
        if path.is_dir():
            return None
    try:
        shapes = context.models.shapes(path)
        config = read_config(folder / "config.json")
        if "vision_config" in config:
            config = {**config["vision_config"], "projection_dim": config.get("projection_dim")}
        told = config_of(shapes)
        return ImageEncoder(path, {**config, **told, **_kept(config)} if config else told, context)
    except (ModelError, OSError, KeyError):
        return None


def _kept(config: Mapping[str, Any]) -> dict[str, Any]:
    """What shapes do not tell."""
    return {key: config[key] for key in ("num_attention_heads", "hidden_act") if key in config}


def config_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The configuration that a file's shapes tell. Raises KeyError for another kind of file."""
    inner = "vision_model." if "vision_model.embeddings.patch_embedding.weight" in shapes else ""
    patches = shapes[inner + "embeddings.patch_embedding.weight"]
    places = shapes[inner + "embeddings.position_embedding.weight"][0]
    start = inner + "encoder.layers."
    layers = {name.removeprefix(start).partition(".")[0] for name in shapes if name.startswith(start)}
    hidden = patches[0]
    if "visual_projection.weight" not in shapes:  # SigLIP has no token of the whole, and pools by attention
        shapes[inner + "head.probe"]
        return {
            "model_type": _SIGLIP,
            "hidden_size": hidden,
            "patch_size": patches[-1],
            # The published one does not fill its picture with whole patches.
            "image_size": 384 if (places, patches[-1]) == (729, 14) else math.isqrt(places) * patches[-1],
            "num_hidden_layers": len(layers),
            "num_attention_heads": _HEADS,
            "intermediate_size": shapes[inner + "encoder.layers.0.mlp.fc1.weight"][0],
        }
    return {
        "hidden_size": hidden,
        "patch_size": patches[-1],
        "image_size": math.isqrt(places - 1) * patches[-1],
        "num_hidden_layers": len(layers),
        "num_attention_heads": _HEADS,
        "intermediate_size": shapes[inner + "encoder.layers.0.mlp.fc1.weight"][0],
        "projection_dim": shapes["visual_projection.weight"][0],
        "hidden_act": "quick_gelu" if hidden == _QUICK_GELU_WIDTH else "gelu",
    }
