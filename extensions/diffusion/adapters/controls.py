"""ControlNets: from the units of a form to a pipeline class that takes them, their components, and the arguments of its
call.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.companions import read_config
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class
from webui.api import Component, ComponentKey, Context, ModelError, ResolvedModel

from .attaching import check_family
from .units import Unit, told_units

KIND = "controlnet"
_HINT = "controlnet_cond_embedding."
_TASKS = ("Img2ImgPipeline", "InpaintPipeline", "Pipeline")


class Controls:
    """The ControlNets of one job; ``attaching.Attachment``."""

    def __init__(self, units: Sequence[Unit], context: Context) -> None:
        self._context = context
        self.units = units
        self._unet: Mapping[str, Any] = {}

    @property
    def active(self) -> bool:
        return bool(self.units)

    def planned(self, plan: Plan, family: str) -> Plan:
        """``plan`` for the class of the model's family that takes ControlNets. Raises ModelError without one."""
        import diffusers

        for unit in self.units:
            check_family("ControlNet", unit.model, family)

        self._unet = plan.config("unet")
        name = plan.cls.__name__
        ending = next((one for one in _TASKS if name.endswith(one)), "")
        found = getattr(diffusers, name.removesuffix(ending) + "ControlNet" + ending, None)
        if found is None:
            raise ModelError(f"Model {plan.title!r} is a {name}, for which there is no ControlNet.")
        options = {key: value for key, value in plan.options.items() if key != "controlnet"}
        # The networks come as components of their own names; ``assemble`` hands them over as one.
        return as_class(replace(plan, options={**options, "controlnet": None}), found)

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        """What to lease besides the model."""
        return {
            f"controlnet_{place}": _component(unit.model, self._unet, dtype, self._context)
            for place, unit in enumerate(self.units)
        }

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        yield  # the pipeline itself calls them

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        size = call.width, call.height
        pictures = [unit.picture(size, own, self._context) for unit in self.units]
        known = inspect.signature(type(pipe).__call__).parameters
        wanted: dict[str, list[Any]] = {
            "control_image" if "control_image" in known else "image": pictures,
            "controlnet_conditioning_scale": [unit.span.weight for unit in self.units],
            "control_guidance_start": [unit.span.start for unit in self.units],
            "control_guidance_end": [unit.span.end for unit in self.units],
        }
        single = len(self.units) == 1
        call.arguments.update({key: row[0] if single else row for key, row in wanted.items() if key in known})

    def step(self, done: int, steps: int) -> None:
        """The pipeline counts by itself."""

    def infotext(self) -> dict[str, str]:
        return told_units(self.units)


def _component(model: ResolvedModel, unet: Mapping[str, Any], dtype: torch.dtype, context: Context) -> Component:
    path = model.path
    assert path is not None
    folder = path if path.is_dir() else path.parent
    config = read_config(folder / "config.json")
    digest = hashlib.sha256(json.dumps([config, dict(unet)], sort_keys=True, default=str).encode()).hexdigest()[:16]
    key = ComponentKey.of(path, KIND, str(dtype).removeprefix("torch."), config=digest)
    return Component(key, lambda: _load(model, folder, config, unet, dtype, context))


def _load(
    model: ResolvedModel,
    folder: Path,
    config: Mapping[str, Any],
    unet: Mapping[str, Any],
    dtype: torch.dtype,
    context: Context,
) -> Any:
    """A ControlNet from its folder, or from a bare file, which has its UNet's shape. Raises ModelError."""
    import diffusers

    try:
        name = str(config.get("_class_name", ""))
        if "ControlNet" in name:
            cls = getattr(diffusers, name)
            return cls.from_pretrained(str(folder), torch_dtype=dtype, local_files_only=True).eval()
        assert model.path is not None
        return _from_file(context.models.open_weights(model.path), unet, dtype)
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelError(
            f"ControlNet {model.ref!r} cannot be loaded: {type(error).__name__}: {said}",
            hint="Use it with a model of the family that it was trained on.",
        ) from error


def _from_file(tensors: Mapping[str, torch.Tensor], unet: Mapping[str, Any], dtype: torch.dtype) -> Any:
    from diffusers import ControlNetModel
    from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

    known = inspect.signature(ControlNetModel.__init__).parameters
    shape = {name: value for name, value in unet.items() if name in known and not name.startswith("_")}
    found = {key.removeprefix("control_model."): value for key, value in tensors.items()}
    first = found.get(_HINT + "conv_in.weight")
    if first is not None:
        widths = [len(first), *(len(found[key]) for key in _hint_blocks(found))]
        network = ControlNetModel(**{**shape, "conditioning_embedding_out_channels": tuple(widths)})
    else:
        network = ControlNetModel(**shape)
        found = convert_controlnet_checkpoint(found, network.config)
    network.load_state_dict(found)
    return network.to(dtype).eval()


def _hint_blocks(tensors: Mapping[str, torch.Tensor]) -> list[str]:
    """The weights of the control picture's encoder that make it smaller: every second one of its blocks."""
    places = sorted(
        int(key.removeprefix(_HINT + "blocks.").partition(".")[0])
        for key in tensors
        if key.startswith(_HINT + "blocks.") and key.endswith(".weight")
    )
    return [f"{_HINT}blocks.{place}.weight" for place in places if place % 2]
