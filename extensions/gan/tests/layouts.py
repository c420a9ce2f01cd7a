"""Writes networks in the layouts of other projects: what the readers are tested with."""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class EasyDict(dict[str, Any]):
    """Stands for dnnlib.util.EasyDict."""


EasyDict.__module__, EasyDict.__qualname__ = "dnnlib.util", "EasyDict"


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> Any:
    """Stands for the function that runs ``meta["module_src"]``."""
    exec(meta["module_src"], {})
    return meta


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


@contextmanager
def foreign_modules() -> Iterator[None]:
    """Within, the modules that a published pickle names can be imported."""
    modules = {
        name: types.ModuleType(name) for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    }
    modules["dnnlib.util"].EasyDict = EasyDict  # type: ignore[attr-defined]
    modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


class _Persistent(pickle.Pickler):
    """Every module of ours is pickled as its state beside the source that would rebuild it."""

    def __init__(self, stream: io.BytesIO, source: str, kwargs: Mapping[int, dict[str, Any]], protocol: int) -> None:
        super().__init__(stream, protocol)
        self.source, self.kwargs = source, kwargs

    def reducer_override(self, item: Any) -> Any:
        if not (isinstance(item, nn.Module) and type(item).__module__.startswith("extensions.gan")):
            return NotImplemented
        state = {key: value for key, value in vars(item).items() if key.startswith("_") or key == "training"}
        state |= {"_init_args": (), "_init_kwargs": EasyDict(self.kwargs.get(id(item), {}))}
        meta = EasyDict(type="class", version=6, module_src=self.source, class_name=type(item).__name__, state=state)
        return _reconstruct_persistent_obj, (meta,)


def persistent_pickle(
    path: Path, network: nn.Module, kwargs: dict[str, Any], *, source: str = "x = 1", protocol: int = 4, **beside: Any
) -> None:
    """A network as the published StyleGAN2-ADA and StyleGAN3 pickles hold it: ``dict(G=None, D=None, G_ema=...)``."""
    stream = io.BytesIO()
    with foreign_modules():
        pickler = _Persistent(stream, source, {id(network): kwargs}, protocol)
        pickler.dump({"G": None, "D": None, "G_ema": network, "training_set_kwargs": EasyDict(a=1), **beside})
    path.write_bytes(stream.getvalue())


def to_rosinality(state: Mapping[str, Tensor], resolution: int) -> dict[str, Any]:
    """The state of a StyleGAN2Generator -> the table of such a checkpoint."""
    g: dict[str, Tensor] = {"input.input": state["synthesis.b4.const"][None]}
    layers = sum(name.startswith("mapping.fc") and name.endswith("weight") for name in state)
    for i in range(layers):
        for part in ("weight", "bias"):
            g[f"style.{i + 1}.{part}"] = state[f"mapping.fc{i}.{part}"]

    def modulated(new: str, old: str) -> None:
        g[f"{new}.conv.weight"] = state[f"{old}.weight"][None]
        g[f"{new}.conv.modulation.weight"] = state[f"{old}.affine.weight"]
        g[f"{new}.conv.modulation.bias"] = state[f"{old}.affine.bias"]

    def layer(new: str, old: str, noise: int) -> None:
        modulated(new, old)
        g[f"{new}.activate.bias"] = state[f"{old}.bias"]
        g[f"{new}.noise.weight"] = state[f"{old}.noise_strength"].reshape(1)
        g[f"noises.noise_{noise}"] = state[f"{old}.noise_const"][None, None]

    def to_rgb(new: str, old: str) -> None:
        modulated(new, old)
        g[f"{new}.bias"] = state[f"{old}.bias"].reshape(1, -1, 1, 1)

    layer("conv1", "synthesis.b4.conv1", 0)
    to_rgb("to_rgb1", "synthesis.b4.torgb")
    size, j = 8, 0
    while size <= resolution:
        layer(f"convs.{2 * j}", f"synthesis.b{size}.conv0", 2 * j + 1)
        layer(f"convs.{2 * j + 1}", f"synthesis.b{size}.conv1", 2 * j + 2)
        to_rgb(f"to_rgbs.{j}", f"synthesis.b{size}.torgb")
        size, j = 2 * size, j + 1
    return {"g_ema": g, "latent_avg": state["mapping.w_avg"]}


def to_hugging_face(network: nn.Module) -> dict[str, Tensor]:
    """The state of a BigGANDeepGenerator as it is with its spectral norms not folded: each weight doubled."""
    state: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and name != "embeddings":
            weight = module.weight.detach() * 2.0
            u = nn.functional.normalize(torch.randn(weight.shape[0]), dim=0)
            v = torch.randn(weight[0].numel())
            v = v * (2.0 / torch.dot(u, weight.flatten(1) @ v))  # sigma, as these two say it, is 2
            state[f"{name}.weight_orig"], state[f"{name}.weight_u"], state[f"{name}.weight_v"] = weight, u, v
    plain = network.state_dict()
    for name, tensor in plain.items():
        if f"{name}_orig" not in state:
            state[name] = tensor
    return state


def to_taming(state: Mapping[str, Tensor], levels: int) -> dict[str, Tensor]:
    """The state of a diffusers VQModel -> taming's names, written down on their own: the inverse of the reader's."""
    found = {}
    for name, tensor in state.items():
        parts = name.split(".")
        if "attentions" in parts and parts[-1] == "weight" and "group_norm" not in parts:
            tensor = tensor[:, :, None, None]
        text = name
        if parts[1] == "mid_block":
            text = text.replace("mid_block.resnets.0", "mid.block_1").replace("mid_block.resnets.1", "mid.block_2")
            text = text.replace("mid_block.attentions.0", "mid.attn_1")
        elif parts[1] in ("down_blocks", "up_blocks"):
            number = int(parts[2])
            place = f"down.{number}" if parts[1] == "down_blocks" else f"up.{levels - 1 - number}"
            text = ".".join([parts[0], place, *parts[3:]])
            text = text.replace("resnets", "block").replace("attentions", "attn")
            text = text.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
            text = text.replace("conv_shortcut", "nin_shortcut")
        text = text.replace("conv_norm_out", "norm_out")
        text = text.replace("group_norm", "norm").replace("to_out.0", "proj_out")
        for letter in "qkv":
            text = text.replace(f".to_{letter}.", f".{letter}.")
        found[text] = tensor
    return found
