"""All that a job attaches to a model beside LoRAs, as one: what the drawing asks of each kind, asked of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.params import Drawn
from webui.api import Component, Context

from . import features
from .attaching import Attachment
from .controls import Controls
from .features import FeatureAdapters
from .image_prompts import ImagePrompts, rows_of
from .lllite import PREFIX, LLLites
from .redux import Redux, is_redux
from .units import Unit, units_of


class Attached:
    """The attachments of one job."""

    def __init__(self, params: Drawn, context: Context) -> None:
        """Raises NotFound, ModelError, JobFailed."""
        units = units_of(params, context)
        adapters = [unit for unit in units if getattr(unit.model, "kind", "") == features.KIND]
        small = [unit for unit in units if unit not in adapters and _is_lllite(unit, context)]
        prompts = rows_of(params, context)
        seen = [row for row in prompts if is_redux(row, context)]
        every: list[Attachment] = [
            Controls([unit for unit in units if unit not in adapters and unit not in small], context),
            LLLites(small, context),
            FeatureAdapters(adapters, context),
            ImagePrompts([row for row in prompts if row not in seen], params, context),
            Redux(seen, params, context),
        ]
        self._active = [one for one in every if one.active]

    @property
    def alone(self) -> bool:
        """Whether the modules must be leased exclusively."""
        return bool(self._active)

    def planned(self, plan: Plan, family: str) -> Plan:
        """See ``Attachment.planned``, as the others. Raises ModelError."""
        for one in self._active:
            plan = one.planned(plan, family)
        return plan

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        return {name: component for one in self._active for name, component in one.requests(dtype).items()}

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        with ExitStack() as stack:
            for one in self._active:
                stack.enter_context(one.around(pipe, components))
            yield

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        for one in self._active:
            one.complete(call, pipe, components, own)

    def step(self, done: int, steps: int) -> None:
        for one in self._active:
            one.step(done, steps)

    def infotext(self) -> dict[str, str]:
        return {key: said for one in self._active for key, said in one.infotext().items()}


def _is_lllite(unit: Unit, context: Context) -> bool:
    path = unit.model.path
    if path is None or path.is_dir():
        return False
    return any(name.startswith(PREFIX) for name in context.models.shapes(path))
