"""Training's source: clean pictures -> one step's batch of each task, a function of seed and step alone."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.pictures.colour import to_lab
from extensions.restoration.pictures.degrading import Damage, blurred, degrade

AB_SCALE = 110.0
_TASK_SEEDS = {"restorer": 1, "colourizer": 2, "scratches": 3}


def step_random(task: str, seed: int, step: int) -> np.random.Generator:
    """The randomness of one step: that is what makes resuming exact."""
    return np.random.default_rng([seed, _TASK_SEEDS[task], step])


def batch_of(task: str, pool: Sequence[Pixels], seed: int, step: int, size: int, crop: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, float32 [N,C,crop,crop]; see ``networks.unet.TASKS`` for the channels."""
    random = step_random(task, seed, step)
    make = {"restorer": _restorer, "colourizer": _colourizer, "scratches": _scratches}[task]
    pairs = [make(_view(pool[int(random.integers(len(pool)))], crop, task, random), random) for _ in range(size)]
    return _stack([pair[0] for pair in pairs]), _stack([pair[1] for pair in pairs])


def _stack(pictures: Sequence[Pixels]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2), np.float32))


def _view(picture: Pixels, crop: int, task: str, random: np.random.Generator) -> Pixels:
    """A square of ``crop`` px: at its own size, or for colours and a third of the rest of a smaller copy."""
    side = min(picture.shape[:2])
    whole = task == "colourizer" and random.random() < 0.5
    shrunk = crop if whole else int(random.integers(crop, side + 1)) if random.random() < 0.35 else side
    if shrunk < side:
        picture = cv2.resize(picture, (shrunk, shrunk), interpolation=cv2.INTER_AREA)
    y, x = (int(random.integers(0, picture.shape[axis] - crop + 1)) for axis in (0, 1))
    cut = picture[y : y + crop, x : x + crop]
    return np.ascontiguousarray(cut[:, ::-1] if random.random() < 0.5 else cut)


def _restorer(clean: Pixels, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Noise and JPEG marks go, blur stays: deconvolution undoes it better than so small a network."""
    noise, jpeg, blur = (random.uniform(0.05, 1, 3) * (random.random(3) < (0.6, 0.75, 0.3))).tolist()
    made, _ = degrade(clean, Damage(noise, jpeg, blur), int(random.integers(2**31)))
    # What a person sets is never quite what there is.
    levels = np.float32([noise, jpeg])
    said = np.where(levels > 0, np.clip(levels + random.normal(0, 0.08, 2), 0.02, 1), 0).astype(np.float32)
    maps = np.broadcast_to(said, (*clean.shape[:2], 2))
    return np.concatenate([made, maps], axis=-1), blurred(clean, blur)


def _colourizer(clean: Pixels, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    lab = to_lab(clean)
    colours = lab[..., 1:] / np.float32(AB_SCALE)
    hinted = np.zeros((*clean.shape[:2], 1), np.float32)
    if random.random() < 0.6:
        for _ in range(int(random.integers(1, 13))):
            y, x = (int(random.integers(0, side)) for side in clean.shape[:2])
            reach = int(random.integers(1, 5))
            hinted[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = 1
    return np.concatenate([lab[..., :1] / 100, colours * hinted, hinted], axis=-1), colours


def _scratches(clean: Pixels, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    noise, jpeg, blur, fading = (random.uniform(0, 0.5, 4) * (random.random(4) < 0.4)).tolist()
    scratches = float(random.uniform(0.1, 1)) if random.random() < 0.85 else 0.0
    made, where = degrade(clean, Damage(noise, jpeg, blur, fading, scratches), int(random.integers(2**31)))
    if random.random() < 0.3:
        made = np.repeat(made.mean(axis=-1, keepdims=True), 3, axis=-1)
    return made, where[..., None].astype(np.float32)
