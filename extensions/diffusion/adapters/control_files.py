"""Opens ControlNets: diffusers folders, and bare files under diffusers' names or those that were published, told apart
and measured by their tables; what they do not tell is as in the model that they steer.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from extensions.diffusion.models.companions import read_config
from webui.api import Component, ComponentKey, Context, ModelError, ResolvedModel

from . import control_loras
from .attaching import FITTING_HINT, cannot_load, title_of
from .layer_names import published_unet

KIND = "controlnet"
_WHAT = "ControlNet"
_PREFIX = "control_model."
_HINT = "controlnet_cond_embedding."
_UNION_MARK = "task_embedding"
_Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class ControlFile:
    """A ControlNet on disk, of which the class is known."""

    model: ResolvedModel
    folder: Path
    config: Mapping[str, Any]
    class_name: str
    modes: int
    """How many kinds of maps it takes; 0 for a network of one kind."""

    @property
    def is_union(self) -> bool:
        return self.modes > 0

    def component(self, denoiser: Mapping[str, Any], dtype: torch.dtype, context: Context) -> Component:
        """To be leased. ``denoiser``: the configuration of the model's."""
        path = self.model.path
        assert path is not None
        shaped = json.dumps([self.config, dict(denoiser)], sort_keys=True, default=str)
        digest = hashlib.sha256(shaped.encode()).hexdigest()[:16]
        key = ComponentKey.of(path, KIND, str(dtype).removeprefix("torch."), config=digest)
        return Component(key, lambda: self._load(denoiser, dtype, context))

    def _load(self, denoiser: Mapping[str, Any], dtype: torch.dtype, context: Context) -> Any:
        """Raises ModelError."""
        import diffusers

        cls = getattr(diffusers, self.class_name)
        assert self.model.path is not None
        try:
            if self.config:
                return cls.from_pretrained(str(self.folder), torch_dtype=dtype, local_files_only=True).eval()
            tensors = {
                key.removeprefix(_PREFIX): value for key, value in context.models.open_weights(self.model.path).items()
            }
            return _filled(cls, tensors, denoiser).to(dtype).eval()
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError, StopIteration) as error:
            raise cannot_load(_WHAT, self.model, error) from error


def open_control(model: ResolvedModel, context: Context) -> ControlFile:
    """What the ControlNet of ``model`` is; nothing is loaded. Raises ModelError for a kind that cannot be used."""
    assert model.path is not None
    folder = model.path if model.path.is_dir() else model.path.parent
    config = read_config(folder / "config.json")
    name = str(config.get("_class_name", ""))
    if "ControlNet" in name:
        modes = int(config.get("num_control_type") or config.get("num_mode") or 0)
        return ControlFile(model, folder, config, name, modes if name != "ControlNetModel" else 0)
    shapes = {key.removeprefix(_PREFIX): shape for key, shape in context.models.shapes(model.path).items()}
    name, modes, reason = _told(shapes)
    if reason:
        raise ModelError(f"{_WHAT} {title_of(model)!r} cannot be used: {reason}.", hint="Use it as a diffusers folder.")
    return ControlFile(model, folder, {}, name, modes)


def _told(shapes: _Shapes) -> tuple[str, int, str]:
    """Class, modes, and why the file cannot be used."""
    if control_loras.MARK in shapes:
        return "ControlNetModel", 0, ""
    own = any(key.startswith(("double_blocks.", "input_hint_block.")) for key in shapes)
    if own and "controlnet_blocks.0.weight" in shapes:
        return "", 0, "it is of XLabs' own layout"
    if "controlnet_x_embedder.weight" in shapes:
        return "FluxControlNetModel", shapes.get("controlnet_mode_embedder.weight", (0,))[0], ""
    if "pos_embed_input.proj.weight" in shapes:
        return "SD3ControlNetModel", 0, ""
    if _UNION_MARK in shapes:
        return "ControlNetUnionModel", shapes[_UNION_MARK][0], ""
    if any(key.startswith((_HINT, "input_hint_block.")) for key in shapes):
        return "ControlNetModel", 0, ""
    return "", 0, "it is of a layout that is not known here"


def _filled(cls: Any, tensors: dict[str, torch.Tensor], denoiser: Mapping[str, Any]) -> Any:
    """A network with these weights: of the denoiser's shape, but for what the tensors say."""
    known = inspect.signature(cls.__init__).parameters
    shape = {name: value for name, value in denoiser.items() if name in known and not name.startswith("_")}
    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if cls.__name__ == "FluxControlNetModel":
        network = cls(**{**shape, **_flux(sizes)})
    elif cls.__name__ == "SD3ControlNetModel":
        network = cls(**{**shape, **_sd3(sizes)})
    else:
        original = "input_hint_block.0.weight" in tensors
        more: dict[str, Any] = {"conditioning_embedding_out_channels": _hint_widths(sizes, original=original)}
        if _UNION_MARK in sizes:
            more |= _union(sizes)
        network = cls(**{**shape, **more})
        if control_loras.MARK in tensors:
            found = control_loras.read(network, _published(network), tensors)
            network.load_state_dict(found, strict=False)
            return network
        if original:
            tensors = _from_published(network, tensors)
    network.load_state_dict(tensors)
    return network


def _count(sizes: _Shapes, start: str) -> int:
    return len({name.removeprefix(start).partition(".")[0] for name in sizes if name.startswith(start)})


def _flux(sizes: _Shapes) -> dict[str, Any]:
    return {
        "num_layers": _count(sizes, "transformer_blocks."),
        "num_single_layers": _count(sizes, "single_transformer_blocks."),
        "num_mode": sizes.get("controlnet_mode_embedder.weight", (None,))[0],
        "guidance_embeds": any(".guidance_embedder." in name for name in sizes),
        "joint_attention_dim": sizes["context_embedder.weight"][1],
        "in_channels": sizes["x_embedder.weight"][1],
    }


def _sd3(sizes: _Shapes) -> dict[str, Any]:
    wide = sizes["pos_embed_input.proj.weight"][1]
    latent = sizes["pos_embed.proj.weight"][1] if "pos_embed.proj.weight" in sizes else wide
    return {
        "num_layers": _count(sizes, "transformer_blocks."),
        "extra_conditioning_channels": wide - latent,
        "dual_attention_layers": tuple(
            layer
            for layer in range(_count(sizes, "transformer_blocks."))
            if f"transformer_blocks.{layer}.attn2.to_q.weight" in sizes
        ),
        "qk_norm": "rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in sizes else None,
    }


def _union(sizes: _Shapes) -> dict[str, Any]:
    modes, channels = sizes[_UNION_MARK]
    return {
        "num_control_type": modes,
        "num_trans_channel": channels,
        "num_trans_layer": _count(sizes, "transformer_layes."),
        "num_proj_channel": channels,
    }


def _hint_widths(sizes: _Shapes, *, original: bool) -> tuple[int, ...]:
    """Channels of the encoder of control pictures: of its first layer, and of each that makes the picture smaller."""
    if original:
        places = sorted(
            int(found[1]) for name in sizes if (found := re.fullmatch(r"input_hint_block\.(\d+)\.weight", name))
        )
        first, *blocks, _ = (sizes[f"input_hint_block.{place}.weight"][0] for place in places)
    else:
        start = _HINT + "blocks."
        first = sizes[_HINT + "conv_in.weight"][0]
        blocks = [sizes[f"{start}{place}.weight"][0] for place in range(_count(sizes, start))]
    return (first, *blocks[1::2])


def _published(network: Any) -> dict[str, str]:
    """Path in ``network`` -> path in the layout that ControlNets were first published in."""
    paths = {name.rpartition(".")[0] for name in network.state_dict()}
    names = {path: published for published, (path,) in published_unet(network.config, paths)}
    last = 2 * len(network.controlnet_cond_embedding.blocks) + 2
    for path in paths:
        hint = re.fullmatch(re.escape(_HINT) + r"(?:(conv_in)|(conv_out)|blocks\.(\d+))", path)
        zero = re.fullmatch(r"controlnet_down_blocks\.(\d+)", path)
        if hint:
            place = 0 if hint[1] else last if hint[2] else 2 * int(hint[3]) + 2
            names[path] = f"input_hint_block.{place}"
        elif zero:
            names[path] = f"zero_convs.{zero[1]}.0"
        elif path == "controlnet_mid_block":
            names[path] = "middle_block_out.0"
    return names


def _from_published(network: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of that layout under ``network``'s names."""
    names, found = _published(network), {}
    for name, wanted in network.state_dict().items():
        path, _, end = name.rpartition(".")
        tensor = tensors[f"{names.get(path, path)}.{end}"]
        # Linear projections were published as convolutions of one pixel in some files.
        found[name] = tensor.reshape(wanted.shape) if tensor.numel() == wanted.numel() else tensor
    return found


def mode_of(file: ControlFile, kind: str, preprocessor: str) -> int:
    """The number by which a network of several kinds is told which it gets. Raises ModelError where that is not
    known, or not among its kinds.
    """
    said = kind if kind != "auto" else _BY_PREPROCESSOR.get(preprocessor, "")
    table = _FLUX_MODES if file.class_name.startswith("Flux") else _UNION_MODES
    number = table.get(said)
    if number is None or number >= file.modes:
        some = ", ".join(name for name, place in table.items() if place < file.modes)
        raise ModelError(
            f"{_WHAT} {title_of(file.model)!r} takes maps of several kinds, and must be told which this one is"
            + (f": {said!r} is none of them." if said else "."),
            hint=f"Choose its kind: {some}.",
        )
    return number


_BY_PREPROCESSOR = {
    "canny": "lines",
    "lineart": "lines",
    "sketch": "lines",
    "tile": "tile",
    "grey": "grey",
    "depth": "depth",
    "pose": "pose",
    "normal": "normal",
}
_UNION_MODES = {
    "pose": 0,
    "depth": 1,
    "soft": 2,
    "lines": 3,
    "normal": 4,
    "segments": 5,
    "tile": 6,
    "repaint": 7,
}
"""xinsir's networks for SDXL."""
_FLUX_MODES = {"lines": 0, "tile": 1, "depth": 2, "blur": 3, "pose": 4, "grey": 5, "poor": 6}
"""InstantX's and Shakker's networks for FLUX."""


_STEMS: Mapping[str, str] = {
    "ControlNetModel": "StableDiffusion(?!3)",
    "ControlNetUnionModel": "StableDiffusionXL",
    "SD3ControlNetModel": "StableDiffusion3",
    "FluxControlNetModel": "Flux",
    "QwenImageControlNetModel": "QwenImage",
    "SanaControlNetModel": "Sana",
    "HunyuanDiT2DControlNetModel": "HunyuanDiT",
    "ZImageControlNetModel": "ZImage",
}
"""Class of a network -> how the names of the pipelines that take it begin."""


def check_class(file: ControlFile, pipeline: str) -> None:
    """Raises ModelError for a network whose class is made for other pipelines than the one of that name."""
    stem = _STEMS.get(file.class_name, "")
    if not re.match(stem, pipeline):
        raise ModelError(
            f"{_WHAT} {title_of(file.model)!r} is a {file.class_name}, which a {pipeline} does not take.",
            hint=FITTING_HINT,
        )


def refuse_mixed(files: list[ControlFile]) -> None:
    """Raises ModelError for networks that no pipeline takes together."""
    if any(file.is_union for file in files) and len({file.class_name for file in files}) > 1:
        raise ModelError(
            "A ControlNet of several kinds and one of a single kind cannot be used together.", hint=FITTING_HINT
        )
