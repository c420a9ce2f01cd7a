"""LyCORIS networks, and whatever else a LoRA file may hold beside plain LoRA: attached to the modules of a pipeline for
the time of a job. A layer's weight is made anew from its own and the network's at each call, and is the very same
tensor afterwards; nothing is merged, and only the small factors take memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from .deltas import BEYOND_LORA, Delta, Unknown
from .layer_names import places_of


class Misfit(Exception):
    """A network that is not of this model; ``str`` of it says why. ``network`` is its place among those attached."""

    def __init__(self, reason: str, network: int = 0) -> None:
        super().__init__(reason)
        self.network = network


@dataclass
class _Change:
    delta: Delta
    rows: slice | None
    strength: float
    network: int


@dataclass
class _Changed:
    """One module, and what is done to it while it computes."""

    module: Any
    changes: list[_Change] = field(default_factory=list)
    _there: torch.device | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        module, own = self.module, self.module._parameters
        before = {name: own[name] for name in ("weight", "bias") if own.get(name) is not None}
        self._bring(before["weight"].device)
        try:
            own["weight"] = self._weight(before["weight"])
            if "bias" in before:
                own["bias"] = self._bias(before["bias"])
            return type(module).forward(module, *args, **kwargs)
        finally:
            own.update(before)

    def _bring(self, device: torch.device) -> None:
        """The factors stay where the weight is met."""
        if device != self._there:
            for change in self.changes:
                moved = {name: tensor.to(device) for name, tensor in change.delta.tensors.items()}
                change.delta = Delta(moved)
            self._there = device

    def _weight(self, weight: torch.Tensor) -> torch.Tensor:
        added = [one.strength * one.delta.of_weight(weight, one.rows) for one in self.changes if one.delta.has_weight]
        return (weight.float() + sum(added)).to(weight.dtype) if added else weight

    def _bias(self, bias: torch.Tensor) -> torch.Tensor:
        added = [
            one.strength * found.to(bias.device, torch.float32).reshape(bias.shape)
            for one in self.changes
            if (found := one.delta.of_bias(one.rows)) is not None
        ]
        return (bias.float() + sum(added)).to(bias.dtype) if added else bias

    def check(self) -> None:
        """Raises Misfit where a change is not of the module's shape, or the module's weight is no plain matrix."""
        weight = self.module.weight
        if not weight.is_floating_point() or type(weight) not in (torch.nn.Parameter, torch.Tensor):
            raise Misfit("its layers are quantized in this model: choose no quantization", self.changes[0].network)
        for one in self.changes:
            try:
                if one.delta.has_weight:
                    one.delta.of_weight(weight.detach(), one.rows)
                bias = one.delta.of_bias(one.rows)
                if bias is not None and self.module.bias is not None:
                    bias.reshape(self.module.bias.shape)
            except Unknown as error:
                raise Misfit(f"its layers are of a kind that is not known here ({error})", one.network) from error
            except (RuntimeError, IndexError, KeyError, ValueError) as error:
                said = " ".join(str(error).split())[:160]
                raise Misfit(f"one of its layers has another shape: {said}", one.network) from error


def is_beyond_lora(names: Iterable[str]) -> bool:
    """Whether a file holds layers that are no plain LoRA."""
    return any(name.endswith(BEYOND_LORA) for name in names)


def layers_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """Layer (with underscores for dots) -> what is said of it."""
    ends = sorted(_ENDS, key=len, reverse=True)
    found: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        end = next((end for end in ends if name.endswith("." + end)), "")
        if end:
            layer = name.removesuffix("." + end).replace(".", "_")
            found.setdefault(layer, {})[end] = tensor
    return found


_ENDS = (
    "hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2",
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t1", "lokr_t2",
    "oft_blocks", "oft_diag", "rescale", "on_input", "weight", "w_norm", "b_norm", "diff", "diff_b", "alpha",
    "dora_scale", "lora_magnitude_vector", "lora_magnitude_vector.default.weight",
    "lora_down.weight", "lora_up.weight", "lora_mid.weight", "lora_A.weight", "lora_B.weight",
    "lora.down.weight", "lora.up.weight", "lora_A.default.weight", "lora_B.default.weight",
)  # fmt: skip


@contextmanager
def attached(
    modules: Mapping[str, Any], networks: Sequence[tuple[Mapping[str, torch.Tensor], Mapping[str, float]]]
) -> Iterator[list[int]]:
    """Within, ``modules`` (component -> module) compute with ``networks``: the tensors of each, and how strongly it
    counts in each component. Gives how many layers of each are not in the model. Raises Misfit.
    """
    places = places_of(modules)
    changed: dict[tuple[str, str], _Changed] = {}
    lost = []
    for number, (tensors, strengths) in enumerate(networks):
        layers = layers_of(tensors)
        known = {name: places[name] for name in layers if name in places}
        if not known:
            raise Misfit("none of its layers is in the model", number)
        lost.append(len(layers) - len(known))
        for name, targets in known.items():
            for place in targets:
                strength = strengths.get(place.component)
                if strength:
                    key = (place.component, place.path)
                    if key not in changed:
                        changed[key] = _Changed(modules[place.component].get_submodule(place.path))
                    changed[key].changes.append(_Change(Delta(layers[name]), place.rows, strength, number))
    for one in changed.values():
        one.check()
    with ExitStack() as stack:
        for one in changed.values():
            # The module's own hooks come before its forward: they may bring its weights to the device.
            one.module.forward = one.forward
            stack.callback(one.module.__dict__.pop, "forward", None)
        yield lost
