"""Our own small networks: the file of a task -> what to lease, and each task as a function of arrays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import nn

from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.pictures.colour import from_lab, to_lab
from extensions.restoration.pictures.spreading import spread
from extensions.restoration.recognise import FAMILY, KIND, TITLES, task_of
from webui.api import Component, ComponentKey, Context, ModelError, ModelUse, ResolvedModel

from .tiles import Progress, in_tiles
from .unet import TASKS, SmallUNet

_COLOUR_SIDE = 192
"""Colours are chosen on a copy of at most this side: they need the whole picture in sight, and little detail."""
_AB = np.float32(110)


def find_own(context: Context, task: str, ref: str = "") -> ResolvedModel:
    """The network of a task: the named one, else the user's own first, else the bundled one; noted in the recipe.
    Raises ModelError, NotFound.
    """
    if ref:
        model = context.models.resolve(ref, KIND)
    else:
        found = [one for one in context.models.listed(KIND) if one.family == FAMILY + task]
        if not found:
            hint = "models/starter/restoration comes with the project; restoration.train makes others."
            raise ModelError(f"there is no network for: {TITLES[task]}.", hint=hint)
        model = min(found, key=lambda one: (one.ref.startswith("starter/"), one.ref))
    if model.path is None or task_of(model.path) != task:
        raise ModelError(f"{model.ref!r} is no network for: {TITLES[task]}.")
    context.use_model(ModelUse(ref=model.ref, sha256=model.sha256, role=task))
    return model


def component(path: Path, task: str, context: Context) -> Component:
    """To be leased. Loading raises ModelError for a file of another shape."""

    def load() -> SmallUNet:
        network = SmallUNet(TASKS[task])
        weights = {name: value.float() for name, value in context.models.open_weights(path).items()}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"{path.name} does not fit the network for {task}: {str(error)[:200]}") from error
        return network.eval().requires_grad_(False)

    return Component(ComponentKey.of(path, f"restoration-{task}", "float32"), load)


def restored(network: nn.Module, pixels: Pixels, levels: tuple[float, float], tile: int, progress: Progress) -> Pixels:
    """Without noise and JPEG marks of these levels, 0..1 each; 0 leaves that kind alone."""
    maps = np.broadcast_to(np.float32(levels), (*pixels.shape[:2], 2))
    return np.clip(in_tiles(network, np.concatenate([pixels, maps], axis=-1), tile=tile, progress=progress), 0, 1)


def scratch_mask(
    network: nn.Module, pixels: Pixels, strength: float, tile: int, progress: Progress
) -> NDArray[np.bool_]:
    """bool [H,W]: where the network sees a scratch; at strength 0.5 where it is more likely than not."""
    logits = in_tiles(network, pixels, tile=tile, progress=progress)[..., 0]
    threshold = np.log((1 - strength * 0.96 - 0.02) / (strength * 0.96 + 0.02))
    mask: NDArray[np.bool_] = logits > threshold
    return mask


def colourized(network: nn.Module, pixels: Pixels, strength: float, hints: Pixels | None, progress: Progress) -> Pixels:
    """The picture's lightness with the network's colours. ``hints``: float32 [H,W,3] of the same size, whose places
    with clear colour are hints: they get it, and so do their surroundings up to edges of lightness.
    """
    lab = to_lab(pixels)
    lightness = lab[..., :1] / np.float32(100)
    told = np.zeros((*lightness.shape[:2], 3), np.float32)
    if hints is not None:
        colours = to_lab(hints)[..., 1:]
        marked = np.linalg.norm(colours, axis=-1) > 12
        told[..., :2] = colours / _AB * marked[..., None]
        told[..., 2] = marked
    small = _resized(np.concatenate([lightness, told], axis=-1), _COLOUR_SIDE)
    covered = small[..., 3:4]
    small[..., 1:3] = np.where(covered > 0.05, small[..., 1:3] / np.maximum(covered, 0.05), 0)
    small[..., 3:4] = covered > 0.5
    small[..., 1:3] *= small[..., 3:4]
    colours = in_tiles(network, small, tile=0, progress=progress)
    marked = small[..., 3] > 0
    if marked.any():
        colours = colours + spread(small[..., 0], marked, small[..., 1:3] - colours)
    height, width = lightness.shape[:2]
    colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_LINEAR) * _AB
    made = from_lab(np.concatenate([lab[..., :1], colours], axis=-1).astype(np.float32))
    grey = from_lab(np.concatenate([lab[..., :1], np.zeros_like(colours)], axis=-1).astype(np.float32))
    return (grey + (made - grey) * np.float32(strength)).astype(np.float32)


def _resized(channels: Pixels, most: int) -> Pixels:
    """At most ``most`` px a side, by area means; four channels at once."""
    height, width = channels.shape[:2]
    share = most / max(height, width)
    if share >= 1:
        return channels.copy()
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return cv2.resize(channels, size, interpolation=cv2.INTER_AREA)
