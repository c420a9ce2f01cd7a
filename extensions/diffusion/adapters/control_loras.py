"""Control-LoRAs: ControlNets published as what they differ by from a UNet (Stability AI 2023). Their own layers come
from the file; the others are the UNet's of the model they are used with, each with a product of two small matrices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from webui.api import ModelError

MARK = "lora_controlnet"
_KEPT = "_lifelike_control_lora"


@dataclass(frozen=True)
class Borrowed:
    """A tensor that the UNet lends, and what is added to it."""

    up: torch.Tensor | None = None
    down: torch.Tensor | None = None

    def fits(self, weight: torch.Tensor, target: torch.Tensor) -> bool:
        """Whether ``weight`` can be lent for ``target``."""
        if weight.shape != target.shape:
            return False
        if self.up is None or self.down is None:
            return True
        return self.up.shape[0] * self.down[0].numel() == weight.numel() and self.up.shape[1] == self.down.shape[0]

    def of(self, weight: torch.Tensor) -> torch.Tensor:
        if self.up is None or self.down is None:
            return weight
        up, down = (one.to(weight.device, torch.float32).flatten(1) for one in (self.up, self.down))
        return (weight.float() + (up @ down).reshape(weight.shape)).to(weight.dtype)


def read(network: Any, names: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that the file has for ``network``, whose ``names`` (path -> path in the file) are the published ones;
    the network keeps which of the rest it is lent. Raises KeyError for one that no UNet has.
    """
    found, borrowed = {}, {}
    for name, wanted in network.state_dict().items():
        path, _, end = name.rpartition(".")
        published = names.get(path, path)
        tensor = tensors.get(f"{published}.{end}")
        if tensor is not None:
            found[name] = tensor.reshape(wanted.shape) if tensor.numel() == wanted.numel() else tensor
        elif path.startswith(("controlnet_",)):
            raise KeyError(f"{published}.{end}")
        elif end == "weight":
            borrowed[name] = Borrowed(tensors.get(f"{published}.up"), tensors.get(f"{published}.down"))
        else:
            borrowed[name] = Borrowed()
    setattr(network, _KEPT, borrowed)
    return found


def is_lent(network: Any) -> bool:
    """Whether a ControlNet has layers of the UNet."""
    return bool(getattr(network, _KEPT, None))


def lend(network: Any, unet: torch.nn.Module) -> None:
    """Fill ``network`` with what it borrows from ``unet``. Both must be leased exclusively. Raises ModelError where the
    UNet is of another shape, or quantized.
    """
    own = {name.replace(".base_layer", ""): one for name, one in unet.named_parameters() if ".lora_" not in name}
    with torch.no_grad():
        for name, borrowed in getattr(network, _KEPT).items():
            target, source = network.get_parameter(name), own.get(name)
            if source is None or not source.is_floating_point() or not borrowed.fits(source, target):
                met = "absent" if source is None else f"{source.dtype} {list(source.shape)}"
                raise ModelError(
                    f"A Control-LoRA does not fit this model: it borrows {name}, {list(target.shape)}, which is {met}.",
                    hint="Use it with a model of the family that it was trained on, without quantization.",
                )
            target.copy_(borrowed.of(source.detach()).to(target))
