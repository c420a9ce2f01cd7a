"""ControlNet-LLLites: from the units of a form to small networks beside a UNet's attention projections, which add to
what those are given (kohya-ss 2023, "ControlNet-LLLite"): x + up(mid(cond, down(x))), the condition being a picture
folded to one vector for each position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import conv2d, linear, relu

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from webui.api import Component, Context, ModelError

from .attaching import FITTING_HINT, check_family, title_of
from .layer_names import places_of
from .units import Unit, told_units

_WHAT = "ControlNet-LLLite"
PREFIX = "lllite_"
_Layer = dict[str, torch.Tensor]


class LLLites:
    """The ControlNet-LLLites of one job; ``attaching.Attachment``."""

    def __init__(self, units: Sequence[Unit], context: Context) -> None:
        self._units = units
        self._context = context
        self._files: list[dict[str, _Layer]] = []
        self._conditions: list[dict[str, torch.Tensor]] = []
        self._weights: list[float] = []

    @property
    def active(self) -> bool:
        return bool(self._units)

    def planned(self, plan: Plan, family: str) -> Plan:
        for unit in self._units:
            check_family(_WHAT, unit.model, family)
        if self._units and "unet" not in plan.sources:
            raise ModelError(f"Model {plan.title!r} is a {plan.cls.__name__}, which takes no {_WHAT}.")
        self._files = [self._read(unit) for unit in self._units]
        return plan

    def _read(self, unit: Unit) -> dict[str, _Layer]:
        """Layer -> its tensors."""
        assert unit.model.path is not None
        found: dict[str, _Layer] = defaultdict(dict)
        for key, tensor in self._context.models.open_weights(unit.model.path).items():
            layer, _, name = key.partition(".")
            found[layer.removeprefix(PREFIX)][name] = tensor
        return dict(found)

    def requests(self, dtype: torch.dtype) -> dict[str, Component]:
        return self._units[0].annotators.requests() if self._units else {}

    @contextmanager
    def around(self, pipe: Any, components: Mapping[str, Any]) -> Iterator[None]:
        places = places_of({"unet": pipe.unet}) if self._units else {}
        where = {"device": self._context.device, "dtype": pipe.unet.dtype} if self._units else {}
        with ExitStack() as stack:
            stack.callback(self._conditions.clear)
            for number, (unit, layers) in enumerate(zip(self._units, self._files, strict=True)):
                known = {name: places[name] for name in layers if name in places}
                if not known:
                    raise _misfit(unit, "none of its layers is in the model")
                if len(known) < len(layers):
                    lost = len(layers) - len(known)
                    self._context.warn(f"{_WHAT} {title_of(unit.model)!r}: {lost} of its layers are not in this model.")
                for name, (place, *_) in known.items():
                    layer = {key: tensor.to(**where) for key, tensor in layers[name].items()}
                    self._files[number][name] = layer
                    module = pipe.unet.get_submodule(place.path)
                    hook = partial(self._changed, number, name)
                    stack.callback(module.register_forward_pre_hook(hook).remove)
            yield

    def complete(
        self, call: Call, pipe: Any, components: Mapping[str, Any], own: Callable[[], Image.Image | None]
    ) -> None:
        self._conditions.clear()
        for unit, layers in zip(self._units, self._files, strict=True):
            picture = unit.picture((call.width, call.height), own, self._context, components)
            values = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
            try:
                self._conditions.append({name: folded(values, layer) for name, layer in layers.items()})
            except (RuntimeError, KeyError) as error:
                raise _misfit(
                    unit, f"its encoder of pictures is of a layout that is not known here ({error})"
                ) from error
        self.step(0, 1)

    def step(self, done: int, steps: int) -> None:
        self._weights = [unit.span.at(done, steps) for unit in self._units]

    def infotext(self) -> dict[str, str]:
        return told_units(self._units)

    def _changed(self, number: int, name: str, _module: Any, args: tuple[Any, ...]) -> Any:
        weight, unit = self._weights[number], self._units[number]
        if not weight or len(self._conditions) <= number:
            return None
        condition, given = self._conditions[number][name], args[0]
        if condition.shape[1] != given.shape[1]:
            raise _misfit(unit, f"it has {condition.shape[1]} positions where the model has {given.shape[1]}")
        return (given + weight * added(given, condition, self._files[number][name]), *args[1:])


def folded(picture: torch.Tensor, layer: _Layer) -> torch.Tensor:
    """float [1,3,H,W] in -1..1 -> the condition of a layer, [1, positions, channels]."""
    names = sorted({name.rpartition(".")[0] for name in layer if name.startswith("conditioning1.")})
    found = picture.to(layer[names[0] + ".weight"])
    for place, name in enumerate(names):
        weight = layer[name + ".weight"]
        found = conv2d(relu(found) if place else found, weight, layer[name + ".bias"], stride=weight.shape[-1])
    return found.flatten(2).transpose(1, 2)


def added(given: torch.Tensor, condition: torch.Tensor, layer: _Layer) -> torch.Tensor:
    """What is added to ``given``, [N, positions, channels]."""

    def through(name: str, values: torch.Tensor) -> torch.Tensor:
        return linear(values, layer[f"{name}.0.weight"].flatten(1), layer[f"{name}.0.bias"])

    seen = relu(through("down", given))
    mixed = relu(through("mid", torch.cat([condition.expand(len(given), -1, -1), seen], dim=2)))
    return through("up", mixed)


def _misfit(unit: Unit, reason: str) -> ModelError:
    return ModelError(f"{_WHAT} {title_of(unit.model)!r} does not fit: {reason}.", hint=FITTING_HINT)
