"""T2I-Adapters: from the units of a form to features of a control picture, which are added to what a UNet's blocks give
on the way down, in any pipeline that has one (Mou et al. 2023, "T2I-Adapter", equation 2).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.diffusion.models.companions import read_config
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from webui.api import Component, ComponentKey, Context, ModelError, ResolvedModel

from .attaching import FITTING_HINT, cannot_load, check_family, title_of
from .units import Unit, told_units

KIND = "t2i_adapter"
_WHAT = "T2I-Adapter"
_RESIDUALS = "down_intrablock_additional_residuals"
_BLOCKS = 4


class FeatureAdapters:
    """The T2I-Adapters of one job; ``attaching.Attachment``."""

    def __init__(self, units: Sequence[Unit], context: Context) -> None:
        self._units = units
        self._context = context
        self._features: list[list[torch.Tensor]] = []
        self._weights: list[float] = []

    @property
    def active(self) -> bool:
        return bool(self._units)

    def planned(self, plan: Plan, family: str) -> Plan:
        for unit in self._units:
            check_family(_WHAT, unit.model, family)
        if self._units and "unet" not in plan.sources:
            raise ModelError(f"Model {plan.title!r} is a {plan.cls.__name__}, which takes no T2I-Adapter.")
        return plan

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        own = {
            f"adapter_{place}": _component(unit.model, dtype, self._context) for place, unit in enumerate(self._units)
        }
        return {**own, **self._units[0].annotators.requests()}

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        hook = pipe.unet.register_forward_pre_hook(self._added, with_kwargs=True) if self._units else None
        try:
            yield
        finally:
            self._features = []
            if hook is not None:
                hook.remove()

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        size = call.width, call.height
        self._features = []
        for place, unit in enumerate(self._units):
            adapter = components[f"adapter_{place}"]
            picture = _tensor(unit.picture(size, own, self._context, components), adapter.config.in_channels)
            with torch.no_grad():
                features = adapter(picture.to(adapter.device, adapter.dtype))
            self._check(unit, features, pipe, call.height // pipe.vae_scale_factor)
            self._features.append(features)
        self.step(0, 1)

    def step(self, done: int, steps: int) -> None:
        self._weights = [unit.span.at(done, steps) for unit in self._units]

    def infotext(self) -> dict[str, str]:
        return told_units(self._units)

    def _check(self, unit: Unit, features: Sequence[torch.Tensor], pipe: Any, height: int) -> None:
        """Raises ModelError for features that the UNet's blocks cannot take. One beyond the blocks, as SDXL's adapters
        give, is for the middle.
        """
        config = pipe.unet.config
        widths, heights = list(config.block_out_channels), _heights(config.down_block_types, height)
        due = list(zip([*widths, widths[-1]], [*heights, heights[-1]], strict=True))
        met = [(int(feature.shape[1]), int(feature.shape[2])) for feature in features]
        if met not in (due, due[:-1]):
            raise ModelError(
                f"{_WHAT} {title_of(unit.model)!r} gives features of {_sizes(met)}; the UNet's are {_sizes(due[:-1])}.",
                hint=FITTING_HINT,
            )

    def _added(self, _unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        counted = [(weight, row) for weight, row in zip(self._weights, self._features, strict=False) if weight]
        if not counted:
            return None
        sample = args[0] if args else kwargs["sample"]
        summed = [sum(weight * row[block] for weight, row in counted) for block in range(len(counted[0][1]))]
        rows = [feature.to(sample).expand(sample.shape[0], -1, -1, -1) for feature in summed]
        return args, {**kwargs, _RESIDUALS: rows}


def _sizes(rows: Sequence[tuple[int, int]]) -> str:
    return ", ".join(f"{channels} channels at {height} rows" for channels, height in rows)


def _heights(blocks: Sequence[str], height: int) -> list[int]:
    """Of what the blocks on the way down take features for: blocks with attention before they make it smaller, others
    after; the last one does not.
    """
    found = []
    for place, block in enumerate(blocks):
        smaller = -(-height // 2) if place + 1 < len(blocks) else height
        found.append(height if "Attn" in block else smaller)
        height = smaller
    return found


def _tensor(picture: Image.Image, channels: int) -> torch.Tensor:
    """float32 [1, channels, H, W] in 0..1."""
    values = np.asarray(picture.convert("RGB" if channels == 3 else "L"), np.float32) / 255
    return torch.from_numpy(values.reshape(*values.shape[:2], -1)).permute(2, 0, 1)[None]


def _component(model: ResolvedModel, dtype: torch.dtype, context: Context) -> Component:
    path = model.path
    assert path is not None
    folder = path if path.is_dir() else path.parent
    config = read_config(folder / "config.json")
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]
    key = ComponentKey.of(path, KIND, str(dtype).removeprefix("torch."), config=digest)
    return Component(key, lambda: _load(model, config, dtype, context))


def _load(model: ResolvedModel, config: Mapping[str, Any], dtype: torch.dtype, context: Context) -> Any:
    """Raises ModelError."""
    from diffusers import T2IAdapter

    assert model.path is not None
    try:
        if config.get("_class_name") == "T2IAdapter":
            folder = model.path if model.path.is_dir() else model.path.parent
            return T2IAdapter.from_pretrained(str(folder), torch_dtype=dtype, local_files_only=True).eval()
        tensors = {key.removeprefix("state_dict."): row for key, row in context.models.open_weights(model.path).items()}
        network = T2IAdapter(**shape_of(tensors))
        network.load_state_dict(renamed(tensors))
        return network.to(dtype).eval()
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError, IndexError) as error:
        raise cannot_load(_WHAT, model, error) from error


def shape_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """The configuration of the adapter with these tensors, in the published layout or diffusers'."""
    names = {key.removeprefix("adapter."): tuple(tensor.shape) for key, tensor in tensors.items()}
    light = "conv_in.weight" not in names
    first = names["body.0.in_conv.weight"] if light else names["conv_in.weight"]
    factor = 16 if not light and first[1] in (256, 768) else 8
    inner = "resnets" if any(".resnets." in name for name in names) else "body"
    outs: list[int] = []
    if light:
        outs = [names[f"body.{block}.out_conv.weight"][0] for block in range(_BLOCKS - 1)]
        each = len({name.split(".")[3] for name in names if name.startswith(f"body.0.{inner}.")})
    elif inner == "resnets":
        outs = [names[f"body.{block}.resnets.0.block1.weight"][0] for block in range(_BLOCKS)]
        each = len({name.split(".")[3] for name in names if name.startswith("body.0.resnets.")})
    else:
        each = len({name.split(".")[1] for name in names if name.startswith("body.")}) // _BLOCKS
        outs = [names[f"body.{block * each}.block1.weight"][0] for block in range(_BLOCKS)]
    kind = "light_adapter" if light else "full_adapter_xl" if factor == 16 else "full_adapter"
    return {
        "in_channels": first[1] // factor**2,
        "channels": outs,
        "num_res_blocks": each,
        "downscale_factor": factor,
        "adapter_type": kind,
    }


def renamed(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Under diffusers' names: there a block holds the networks that the published layout numbers through."""
    plain = {key.removeprefix("adapter."): tensor for key, tensor in tensors.items()}
    if any(".resnets." in name for name in plain):
        return {"adapter." + name: tensor for name, tensor in plain.items()}
    if "conv_in.weight" not in plain:
        return {"adapter." + re.sub(r"^(body\.\d+)\.body\.", r"\1.resnets.", name): row for name, row in plain.items()}
    each = shape_of(tensors)["num_res_blocks"]
    found = {}
    for name, tensor in plain.items():
        part = re.fullmatch(r"body\.(\d+)\.(block[12]|in_conv)\.(weight|bias)", name)
        if part is None:
            found["adapter." + name] = tensor
            continue
        block, place = divmod(int(part[1]), each)
        inner = part[2] if part[2] == "in_conv" else f"resnets.{place}.{part[2]}"
        found[f"adapter.body.{block}.{inner}.{part[3]}"] = tensor
    return found
