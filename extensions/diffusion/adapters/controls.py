"""ControlNets: from the units of a form to a pipeline class that takes them, their components, and the arguments of its
call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class
from webui.api import Component, Context, ModelError

from . import control_loras
from .attaching import check_family
from .control_files import ControlFile, check_class, mode_of, open_control, refuse_mixed
from .units import Unit, told_units

_ENDINGS = (("Img2ImgPipeline",), ("InpaintPipeline", "InpaintingPipeline"), ("Pipeline",))
"""What the classes of one task end with."""


class Controls:
    """The ControlNets of one job; ``attaching.Attachment``."""

    def __init__(self, units: Sequence[Unit], context: Context) -> None:
        self._context = context
        self.units = units
        self._files: list[ControlFile] = []
        self._denoiser: Mapping[str, Any] = {}

    @property
    def active(self) -> bool:
        return bool(self.units)

    def planned(self, plan: Plan, family: str) -> Plan:
        """``plan`` for the class of the model's family that takes ControlNets. Raises ModelError without one."""
        for unit in self.units:
            check_family("ControlNet", unit.model, family)
        self._files = [open_control(unit.model, self._context) for unit in self.units]
        refuse_mixed(self._files)
        for file in self._files:
            check_class(file, plan.cls.__name__)
        self._denoiser = plan.config("unet", "transformer")
        found = _class_for(plan.cls.__name__, union=self._files[0].class_name == "ControlNetUnionModel")
        if found is None:
            raise ModelError(f"Model {plan.title!r} is a {plan.cls.__name__}, for which there is no ControlNet.")
        options = {key: value for key, value in plan.options.items() if key != "controlnet"}
        # The networks come as components of their own names; ``assemble`` hands them over as one.
        return as_class(replace(plan, options={**options, "controlnet": None}), found)

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        """What to lease besides the model."""
        nets = {
            f"controlnet_{place}": file.component(self._denoiser, dtype, self._context)
            for place, file in enumerate(self._files)
        }
        return {**nets, **self.units[0].annotators.requests()}

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        nets = [net for name, net in components.items() if name.startswith("controlnet_")]
        for net in filter(control_loras.is_lent, nets):
            control_loras.lend(net, components["unet"])
        yield  # the pipeline itself calls them

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        size = call.width, call.height
        pictures = [unit.picture(size, own, self._context, components) for unit in self.units]
        known = inspect.signature(type(pipe).__call__).parameters
        wanted: dict[str, list[Any]] = {
            "control_image" if "control_image" in known else "image": pictures,
            "controlnet_conditioning_scale": [unit.span.weight for unit in self.units],
            "control_guidance_start": [unit.span.start for unit in self.units],
            "control_guidance_end": [unit.span.end for unit in self.units],
        }
        if self._files[0].is_union:
            rows = zip(self._files, self.units, strict=True)
            wanted["control_mode"] = [mode_of(file, unit.kind, unit.preprocessor) for file, unit in rows]
        single = len(self.units) == 1
        call.arguments.update({key: row[0] if single else row for key, row in wanted.items() if key in known})

    def step(self, done: int, steps: int) -> None:
        """The pipeline counts by itself."""

    def infotext(self) -> dict[str, str]:
        return told_units(self.units)


def _class_for(name: str, *, union: bool) -> Any:
    """The class for the task of the class ``name`` that takes ControlNets; None without one. diffusers names them by
    one rule.
    """
    import diffusers

    endings = next(row for row in _ENDINGS if name.endswith(row))
    stem = next(name.removesuffix(ending) for ending in endings if name.endswith(ending))
    middle = "ControlNetUnion" if union else "ControlNet"
    names = (stem + middle + ending for ending in endings)
    return next((found for one in names if (found := getattr(diffusers, one, None)) is not None), None)
