"""VQGAN and its prior as taming-transformers saves them (.ckpt and .yaml): their names to ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from webui.api import ModelError

from .names import Contents, State, below, numbered, wrong

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^(encoder|decoder)\.mid\.block_1\.", r"\1.mid_block.resnets.0."),
        (r"^(encoder|decoder)\.mid\.block_2\.", r"\1.mid_block.resnets.1."),
        (r"^(encoder|decoder)\.mid\.attn_1\.", r"\1.mid_block.attentions.0."),
        (r"\.(down_blocks|up_blocks)\.(\d+)\.block\.", r".\1.\2.resnets."),
        (r"\.(down_blocks|up_blocks)\.(\d+)\.attn\.", r".\1.\2.attentions."),
        (r"\.downsample\.conv\.", ".downsamplers.0.conv."),
        (r"\.upsample\.conv\.", ".upsamplers.0.conv."),
        (r"\.nin_shortcut\.", ".conv_shortcut."),
        (r"\.norm_out\.", ".conv_norm_out."),
        (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
        (r"(attentions\.\d+)\.([qkv])\.", r"\1.to_\2."),
        (r"(attentions\.\d+)\.proj_out\.", r"\1.to_out.0."),
    )
)
_YAML_LIMIT_BYTES = 1 << 20


def read_taming(whole: State, path: Path) -> Contents:
    """``whole``: the tensors of the file; its .yaml is looked for beside it. Raises ModelError."""
    said = _yaml(path)
    first = below(whole, "first_stage_model.") or whole
    params = _dig(said, "model", "params") or {}
    stage = _dig(params, "first_stage_config", "params") or params
    autoencoder, state = _autoencoder(first, stage)
    config: dict[str, Any] = {"autoencoder": autoencoder}
    transformer = below(whole, "transformer.")
    if transformer:
        config["prior"], config["conditioning"] = _prior(transformer, params, path)
        state |= {f"prior.{key}": value for key, value in transformer.items() if not key.endswith(".attn.mask")}
    return Contents("vqgan", config, state)


def _autoencoder(first: State, stage: Mapping[str, Any]) -> tuple[dict[str, Any], State]:
    levels = numbered(first, "encoder.down.")
    try:
        codes, dim = first["quantize.embedding.weight"].shape
        config: dict[str, Any] = {
            "resolution": int(_dig(stage, "ddconfig", "resolution") or 256),
            "widths": [first[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in levels],
            "layers": len(numbered(first, "encoder.down.0.block.")),
            "latent_channels": first["encoder.conv_out.weight"].shape[0],
            "codes": codes,
            "code_dim": dim,
            "attention": [i for i in levels if f"encoder.down.{i}.attn.0.q.weight" in first],
        }
    except (KeyError, ValueError, TypeError):
        raise wrong("VQGAN of taming-transformers", "an encoder, and quantize.embedding.weight") from None
    state: State = {}
    for name, tensor in first.items():
        if not name.startswith(("encoder.", "decoder.", "quantize.embedding.", "quant_conv.", "post_quant_conv.")):
            continue
        name = re.sub(r"^encoder\.down\.", "encoder.down_blocks.", name)
        name = re.sub(r"^decoder\.up\.(\d+)\.", lambda m: f"decoder.up_blocks.{len(levels) - 1 - int(m[1])}.", name)
        for old, new in _RULES:
            name = old.sub(new, name)
        if ".attentions." in name and tensor.ndim == 4:  # a 1x1 convolution is a linear layer
            tensor = tensor[:, :, 0, 0]
        state[f"autoencoder.model.{name}"] = tensor
    return config, state


def _prior(transformer: State, params: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        vocabulary, width = transformer["tok_emb.weight"].shape
        length, blocks = transformer["pos_emb"].shape[1], len(numbered(transformer, "blocks."))
    except (KeyError, ValueError, IndexError):
        raise wrong("prior of taming-transformers", "transformer.tok_emb and pos_emb") from None
    heads = _dig(params, "transformer_config", "params", "n_head")
    stage = params.get("cond_stage_config")
    target = str(stage.get("target", "")) if isinstance(stage, Mapping) else str(stage or "")
    if not params:
        raise ModelError(
            f"{path.name} has a prior, and beside it is no .yaml that says what it takes.",
            hint=f"Put its configuration beside it as {path.stem}.yaml.",
        )
    offset = int(_dig(stage, "params", "sos_token") or params.get("sos_token") or 0) if stage else 0
    if target.endswith("Labelator"):
        conditioning = {"kind": "class", "classes": int(_dig(stage, "params", "n_classes") or 0), "offset": 0}
    elif target.endswith("SOSProvider") or target == "__is_unconditional__":
        conditioning = {"kind": "none", "offset": offset}
    else:
        raise ModelError(
            f"The prior of {path.name} is conditioned by {target or 'something unnamed'}; "
            "priors without a condition and those of classes are drawn from."
        )
    prior = {
        "vocabulary": vocabulary,
        "length": length,
        "width": width,
        "blocks": blocks,
        "heads": int(heads or width // 64),
    }
    return prior, conditioning


def _yaml(path: Path) -> Mapping[str, Any]:
    """The configuration beside the checkpoint, or in the ``configs`` folder of its run; empty where there is none."""
    places = [path.with_suffix(".yaml"), path.parent / "model.yaml", path.parent / "config.yaml"]
    places += (
        sorted((path.parent.parent / "configs").glob("*-project.yaml")) if path.parent.name == "checkpoints" else []
    )
    for place in places:
        try:
            if place.stat().st_size <= _YAML_LIMIT_BYTES:
                found = yaml.safe_load(place.read_text(encoding="utf-8"))
                if isinstance(found, Mapping):
                    return found
        except (OSError, ValueError, yaml.YAMLError, RecursionError):
            continue
    return {}


def _dig(table: Any, *keys: str) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table
