"""Networks of other programs, of any architecture that spandrel knows, told apart by what it says they are for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.recognise import ANY
from webui.api import Component, ComponentKey, Context, JobFailed, ModelError, ModelUse

from .tiles import Progress, in_tiles

Purpose = Literal["Restoration", "Inpainting", "FaceSR"]
_WORDS = {
    "Restoration": "cleans pictures without making them larger",
    "Inpainting": "fills masked places",
    "FaceSR": "restores faces",
}
FACE_SIDE = 512


class Foreign(nn.Module):
    """A network with what spandrel knows of it, which pads to what it needs."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self.descriptor = descriptor
        self.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """float [1,3,h,w] in 0..1 -> [1,3,h,w]."""
        made: Tensor = self.descriptor(pixels)
        return made


def foreign_component(context: Context, ref: str, purpose: Purpose) -> Component:
    """What to lease for a model of this purpose, noted in the recipe. Raises JobFailed where none is named, NotFound;
    loading raises ModelError for another purpose.
    """
    if not ref:
        raise JobFailed(
            f"no network that {_WORDS[purpose]} is chosen.",
            hint="Put one into models/restoration and choose it in the form, or turn the step off.",
        )
    model = context.models.resolve(ref, ANY)
    path = model.path
    if path is None:
        raise ModelError(f"{ref!r} is not on this machine.")
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=purpose.lower()))

    def load() -> Foreign:
        from spandrel import ModelLoader, UnsupportedModelError

        tensors = {name: value.clone() for name, value in context.models.open_weights(path).items()}
        try:
            descriptor = ModelLoader(device="cpu").load_from_state_dict(tensors)
        except (UnsupportedModelError, KeyError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ModelError(f"{ref!r} is of no architecture that is known: {said}") from error
        if descriptor.purpose != purpose or descriptor.input_channels not in (3, 4):
            raise ModelError(f"{ref!r} is no network that {_WORDS[purpose]}; it is for {descriptor.purpose}.")
        descriptor.model.float()
        return Foreign(descriptor)

    return Component(ComponentKey.of(path, "restoration-foreign", "float32"), load)


def cleaned(network: Foreign, pixels: Pixels, tile: int, progress: Progress) -> Pixels:
    """By a network of the purpose Restoration."""
    return np.clip(in_tiles(network, pixels, tile=tile, progress=progress), 0, 1)


def filled_by(network: Foreign, pixels: Pixels, mask: Pixels, progress: Progress) -> Pixels:
    """By a network of the purpose Inpainting, whole: it needs the surroundings in sight. What is not masked stays."""
    channels = np.concatenate([pixels, mask.astype(np.float32)[..., None]], axis=-1)

    def call(part: Tensor) -> Tensor:
        made: Tensor = network.descriptor(part[:, :3], part[:, 3:].round())
        return made

    made = np.clip(in_tiles(network, channels, tile=0, progress=progress, call=call), 0, 1)
    return np.where(mask[..., None] > 0, made, pixels).astype(np.float32)


@torch.inference_mode()
def better_face(network: Foreign, face: Pixels) -> Pixels:
    """A square face, float32 [512,512,3] -> the same, restored."""
    weight = next(network.parameters())
    tensor = torch.from_numpy(np.ascontiguousarray(face.transpose(2, 0, 1)[None], np.float32))
    made: Pixels = network(tensor.to(weight.device, weight.dtype))[0].float().cpu().permute(1, 2, 0).numpy()
    return np.clip(made, 0, 1)
