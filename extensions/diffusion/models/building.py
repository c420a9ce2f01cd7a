"""Builds one component from tensors and a configuration: the last step for weights that the libraries cannot open by
themselves (single files, pickles, GGUF). Runs in the cache's turn to load.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from webui.api import ModelError, Models

from . import clip_vocabulary
from .layouts import Tensors, convert, convert_openclip
from .libraries import find_class
from .shapes import Shapes, told
from .weights import Part

_OTHERS = ("text_encoders.", "cond_stage_model.", "conditioner.", "first_stage_model.", "vae.", "model_ema.")
"""Beginnings of what lies beside a denoiser without a prefix of its own."""
_SCALES = (".scale_weight", ".weight_scale")
_NOTES = (".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8", "spiece_model", ".position_ids", "logit_scale")
"""Ends of names that are no weights of a module."""
_CLIP_LENGTH = 77
_OLD_ATTENTION = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}


def build_part(
    part: Part, cls: Any, config: Path, changes: Mapping[str, Any], dtype: torch.dtype, models: Models
) -> Any:
    """The component whose weights are ``part``: an instance of ``cls`` configured by the folder ``config`` with
    ``changes``. Raises ModelError.
    """
    if part.path.suffix.lower() == ".gguf":
        return _from_gguf(part, cls, config, changes, dtype)
    tensors = read_part(part, dtype, models)
    if not tensors:
        raise ModelError(f"{part.path.name} holds no {cls.__name__}.", hint="A whole checkpoint is needed.")
    if cls.__module__.startswith("transformers."):
        return _text_encoder(cls, cls.config_class.from_pretrained(str(config)), tensors, dtype)
    return _diffusers_module(cls, config, changes, tensors, dtype)


def build_from_pickles(cls: Any, folder: Path, files: list[Path], dtype: torch.dtype, models: Models) -> Any:
    """A diffusers folder's component that has only ``.bin`` weights. Nothing in them is run. Raises ModelError."""
    tensors: Tensors = {}
    for file in files:
        tensors |= _in_dtype(models.open_weights(file), dtype)
    if cls.__module__.startswith("transformers."):
        return _text_encoder(cls, cls.config_class.from_pretrained(str(folder)), tensors, dtype)
    for name in list(tensors):
        for old, new in _OLD_ATTENTION.items():
            if old in name and ".attentions." in name:
                tensors[name.replace(old, new)] = tensors.pop(name)
    return _filled(cls, cls.load_config(str(folder)), tensors, dtype)


def build_tokenizer(cls: Any, config: Path, changes: Mapping[str, Any]) -> Any:
    """The tokenizer in the folder ``config``; CLIP's from the bundled merges where there is no such folder."""
    if config.is_dir():
        bare = {} if (config / "tokenizer_config.json").is_file() else {"model_max_length": 512}
        return cls.from_pretrained(str(config), local_files_only=True, **bare)
    merges = clip_vocabulary.read_merges()
    return cls(vocab=clip_vocabulary.vocabulary(merges), merges=merges, model_max_length=_CLIP_LENGTH, **changes)


def read_part(part: Part, dtype: torch.dtype, models: Models) -> Tensors:
    """The tensors of ``part`` without its prefix, in ``dtype`` whatever mix the file holds; 8-bit weights with a scale
    beside them are multiplied by it. They stay mapped to the file where it has that dtype. Raises ModelError.
    """
    found = {
        key.removeprefix(part.prefix): tensor for key, tensor in models.open_weights(part.path, (part.prefix,)).items()
    }
    if not part.prefix:
        found = {key: tensor for key, tensor in found.items() if not key.startswith(_OTHERS)}
    scales = {key: found.pop(key) for key in list(found) if key.endswith(_SCALES)}
    found = {key: tensor for key, tensor in found.items() if not key.endswith(_NOTES)}
    tensors = _in_dtype(found, dtype)
    for key, scale in scales.items():
        weight = re.sub(r"\.(scale_weight|weight_scale)$", ".weight", key)
        if scale.numel() != 1 or weight not in tensors:
            raise ModelError(f"{part.path.name}: the scale {key!r} is of a kind that is not known here.")
        tensors[weight] = tensors[weight] * scale.to(dtype).reshape(())
    return tensors


def _in_dtype(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}


def fits(class_name: str, config: Path, shapes: Shapes) -> bool:
    """Whether tensors of these shapes make a ``class_name`` of the folder ``config``. Nothing is allocated."""
    cls = find_class("diffusers", class_name)
    try:
        values = cls.load_config(str(config))
        values |= told(class_name, shapes, values)
        with torch.device("meta"):
            wanted = {name: tensor.shape for name, tensor in cls.from_config(values).state_dict().items()}
            tensors = {name: torch.empty(shape) for name, shape in shapes.items()}
            found = convert(cls, tensors, values, set(wanted))
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError, AttributeError, OSError):
        return False
    return all(name in found and found[name].shape == shape for name, shape in wanted.items())


def _diffusers_module(
    cls: Any, config: Path, changes: Mapping[str, Any], tensors: Tensors, dtype: torch.dtype, **options: Any
) -> Any:
    arguments = {"config": str(config.parent), "subfolder": config.name, "local_files_only": True, **options, **changes}
    if cls.__name__ == "UNet2DConditionModel":  # its converter looks for the prefix
        tensors = {"model.diffusion_model." + key: tensor for key, tensor in tensors.items()}
    elif cls.__name__ != "AutoencoderKL":
        values = {**cls.load_config(str(config)), **changes}
        with torch.device("meta"):
            names = set(cls.from_config(values).state_dict())
        tensors = convert(cls, tensors, values, names)
        _check(cls, names - tensors.keys())
        tensors = {name: tensors[name] for name in names}
        if cls.__name__ == "PixArtTransformer2DModel":  # the library reads no single file of it
            return _filled(cls, values, tensors, dtype)
    loaded = cls.from_single_file(tensors, torch_dtype=dtype, **arguments).eval()
    _check(cls, {name for name, parameter in loaded.named_parameters() if parameter.is_meta})
    return loaded


def _filled(cls: Any, config: Mapping[str, Any], tensors: Tensors, dtype: torch.dtype) -> Any:
    """A module of diffusers whose parameters are ``tensors``, under its own names."""
    from accelerate import init_empty_weights

    with init_empty_weights():
        module = cls.from_config(config)
    left = module.load_state_dict(tensors, strict=False, assign=True)
    _check(cls, set(left.missing_keys))
    return module.to(dtype).eval()


def _check(cls: Any, missing: set[str]) -> None:
    if missing:
        raise ModelError(
            f"Its {cls.__name__} lacks {len(missing)} of its tensors, such as {min(missing)}.",
            hint="The file is a part of a model, or of another layout.",
        )


def _text_encoder(cls: Any, config: Any, tensors: Tensors, dtype: torch.dtype) -> Any:
    if any(name.startswith("transformer.resblocks.") for name in tensors):
        tensors = convert_openclip(tensors, config.num_hidden_layers)
    elif cls.__name__ == "CLIPTextModelWithProjection" and config.hidden_size == config.projection_dim == 768:
        # SD3 reads CLIP L's pooled output as it is; its pipeline asks for a projection.
        tensors = {**tensors, "text_projection.weight": torch.eye(768, dtype=dtype)}
    loaded, info = cls.from_pretrained(None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True)
    _check(cls, set(info["missing_keys"]))
    return loaded.eval()


def _from_gguf(part: Part, cls: Any, config: Path, changes: Mapping[str, Any], dtype: torch.dtype) -> Any:
    """A denoiser whose matrices stay quantized and are widened to ``dtype`` where they are used."""
    try:
        from diffusers import GGUFQuantizationConfig
        from diffusers.models.model_loading_utils import load_gguf_checkpoint

        quantization = GGUFQuantizationConfig(compute_dtype=dtype)
        tensors = load_gguf_checkpoint(str(part.path))
    except (ImportError, NameError) as error:
        raise ModelError(
            f"{part.path.name} is GGUF, which needs the package gguf.", hint="Install it: pip install gguf"
        ) from error
    tensors = {key.removeprefix(part.prefix): tensor for key, tensor in tensors.items() if key.startswith(part.prefix)}
    return _diffusers_module(cls, config, changes, tensors, dtype, quantization_config=quantization)
