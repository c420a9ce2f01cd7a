"""Makes pictures larger by upscaler networks of any architecture that spandrel knows, tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image

from webui.api import Component, ComponentKey, Context, ModelError, Models, ModelUse, ResolvedModel

KIND = "upscaler"
_MARGIN_PX = 16
"""Least overlap of two tiles: what a convolution sees beyond its edge."""


class Upscaler(torch.nn.Module):
    """A network with what is known of it. float [1,3,h,w] in 0..1 -> [1,3,scale*h,scale*w] in 0..1."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.network = descriptor.model
        self.descriptor = descriptor
        self.scale = int(descriptor.scale)
        self.eval().requires_grad_(False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.descriptor(pixels)  # it pads to what the architecture needs, and clamps
        return result


def find_upscaler(context: Context, ref: str) -> ResolvedModel:
    """The upscaler that ``ref`` refers to, noted in the recipe. Raises NotFound, ModelError."""
    model = context.models.resolve(ref, KIND)
    if model.path is None:
        raise ModelError(f"Upscaler {ref!r} is not on this machine.")
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role="upscaler"))
    return model


def upscaler_component(model: ResolvedModel, models: Models) -> Component:
    """What to lease for an upscaler. Loading raises ModelError for an architecture that is not known, or one that is no
    upscaler of RGB pictures.
    """
    path = model.path
    assert path is not None
    key = ComponentKey.of(path, "upscaler", "float32")

    def load() -> Upscaler:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError

        tensors = {name: value.clone() for name, value in models.open_weights(path).items()}
        try:
            descriptor = ModelLoader(device="cpu").load_from_state_dict(tensors)
        except (UnsupportedModelError, KeyError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise ModelError(f"Upscaler {model.ref!r} is of no architecture that is known: {said}") from error
        if not isinstance(descriptor, ImageModelDescriptor) or (
            descriptor.input_channels,
            descriptor.output_channels,
        ) != (3, 3):
            raise ModelError(f"{model.ref!r} is no upscaler of RGB pictures.")
        descriptor.model.float()
        return Upscaler(descriptor)

    return Component(key, load)


@torch.inference_mode()
def enlarged(network: Upscaler, picture: Image.Image, context: Context, *, tile: int, overlap: int) -> Image.Image:
    """``picture`` (RGB) at the network's scale. Tiles of ``tile`` px overlap by ``overlap`` px and are faded into each
    other there; 0 takes the picture whole. Raises Cancelled.
    """
    weight = next(network.parameters())
    pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    height, width = pixels.shape[-2:]
    overlap = max(overlap, _MARGIN_PX)
    rows, columns = _spans(height, tile, overlap), _spans(width, tile, overlap)
    scale = network.scale
    total = torch.zeros(1, 3, height * scale, width * scale)
    weights = torch.zeros(1, 1, height * scale, width * scale)
    done = 0
    for top, bottom in rows:
        for left, right in columns:
            part = pixels[:, :, top:bottom, left:right].to(weight.device, weight.dtype)
            new = network(part).float().cpu()
            fade = _fade(bottom - top, top > 0, bottom < height, overlap, scale)[:, None]
            fade = fade * _fade(right - left, left > 0, right < width, overlap, scale)[None]
            place = (..., slice(top * scale, bottom * scale), slice(left * scale, right * scale))
            total[place] += new * fade
            weights[place] += fade
            done += 1
            context.progress(done, len(rows) * len(columns))
    values = (total / weights).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    return Image.fromarray((values * 255).round().astype(np.uint8))


def _spans(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Tiles along one side: even, each at most ``tile`` long, neighbours sharing ``overlap`` px or more."""
    tile = max(tile, 2 * overlap + 1) if tile > 0 else length
    if tile >= length:
        return [(0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = [round(place * (length - tile) / (count - 1)) for place in range(count)]
    return [(start, start + tile) for start in starts]


def _fade(length: int, before: bool, after: bool, overlap: int, scale: int) -> torch.Tensor:
    """Weights along one side of a tile: a ramp where a neighbour overlaps. The outermost eighth counts least, since
    networks see no surroundings there.
    """
    weights = torch.ones(length * scale)
    ramp = torch.linspace(1e-3, 1, overlap * scale)
    if before:
        weights[: overlap * scale] = torch.minimum(weights[: overlap * scale], ramp)
    if after:
        weights[-overlap * scale :] = torch.minimum(weights[-overlap * scale :], ramp.flip(0))
    return weights


def brought_to(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``picture`` at ``size``, by Lanczos where it is not that already."""
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def passes(size: tuple[int, int], target: tuple[int, int], scale: int) -> Iterator[int]:
    """One item for each time that a network of ``scale`` has to run until ``size`` reaches ``target``; one at least."""
    reached = size
    while True:
        yield scale
        reached = (reached[0] * scale, reached[1] * scale)
        if scale < 2 or (reached[0] >= target[0] and reached[1] >= target[1]):
            return
