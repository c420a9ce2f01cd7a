"""From one checkpoint file of SD 1.x or SDXL to its components, offline, with the configurations that lie beside this
module.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from webui.api import ModelError

from . import clip_vocabulary

CONFIGS = Path(__file__).resolve().parent / "configs"
"""One folder a family, in the layout of a diffusers folder without weights."""

_SDXL_TEXT, _SDXL_TEXT_2 = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "unet": ("model.diffusion_model.",),
    "vae": ("first_stage_model.",),
    "text_encoder": ("cond_stage_model.transformer.", _SDXL_TEXT),
    "text_encoder_2": (_SDXL_TEXT_2,),
}
_CLIP_LENGTH = 77


def part_of(name: str) -> Path:
    """The file that a component without weights in the checkpoint is made from. Raises ModelError."""
    if not name.startswith("tokenizer"):
        raise ModelError(f"A single file cannot provide the component {name}.")
    return clip_vocabulary.FOLDER / "merges.txt.gz"


def load_part(checkpoint: Path, name: str, cls: Any, config: Path, dtype: torch.dtype, variant: str) -> Any:
    """One component of ``checkpoint``: an instance of ``cls`` configured by the folder ``config``. Raises ModelError.

    Scheduler and tokenizers come from the configuration and the bundled vocabulary; ``variant`` ``v_prediction`` sets
    the scheduler's prediction type.
    """
    if name == "scheduler":
        changes = {"prediction_type": variant} if variant == "v_prediction" else {}
        return cls.from_pretrained(str(config), local_files_only=True, **changes)
    if name.startswith("tokenizer"):
        return _tokenizer(cls, name) if not config.is_dir() else cls.from_pretrained(str(config), local_files_only=True)
    tensors = _tensors(checkpoint, name, dtype)
    if cls.__module__.startswith("transformers."):
        return _text_encoder(tensors, cls, config, dtype)
    loaded = cls.from_single_file(
        tensors, config=str(config.parent), subfolder=config.name, torch_dtype=dtype, local_files_only=True
    )
    return loaded.eval()


def _tensors(checkpoint: Path, name: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors of one component, in ``dtype`` whatever mix the file holds. They stay mapped to the file where it
    has that dtype.
    """
    from safetensors import safe_open

    with safe_open(str(checkpoint), framework="pt", device="cpu") as file:
        keys = [key for key in file.keys() if key.startswith(_PREFIXES.get(name, ()))]  # noqa: SIM118 - not a dict
        if not keys:
            raise ModelError(
                f"{checkpoint.name} holds no {name}.", hint="A whole checkpoint is needed, not a part of one."
            )
        tensors = {key: file.get_tensor(key) for key in keys}
    return {
        _with_text_model(key): tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }


def _with_text_model(key: str) -> str:
    """CLIP's text keys are met with and without ``text_model.``; the converter knows them with it."""
    for prefix in _PREFIXES["text_encoder"]:
        if key.startswith(prefix) and not key.startswith(prefix + "text_model."):
            return prefix + "text_model." + key.removeprefix(prefix)
    return key


def _text_encoder(tensors: dict[str, torch.Tensor], cls: Any, config: Path, dtype: torch.dtype) -> Any:
    from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

    return create_diffusers_clip_model_from_ldm(
        cls, tensors, subfolder=config.name, config=str(config.parent), torch_dtype=dtype, local_files_only=True
    ).eval()


def _tokenizer(cls: Any, name: str) -> Any:
    merges = clip_vocabulary.read_merges()
    # OpenCLIP's text encoder, the second of SDXL, was trained with padding by token 0.
    padding = {"pad_token": "!"} if name == "tokenizer_2" else {}
    return cls(vocab=clip_vocabulary.vocabulary(merges), merges=merges, model_max_length=_CLIP_LENGTH, **padding)
