"""Training's source: pictures -> one memory-mapped array that batches are cut from.

The array is made once: each picture is cut to its middle square, scaled, and never decoded again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PIXELS, LABELS, ABOUT = "pixels.npy", "labels.npy", "data.json"


@dataclass(frozen=True)
class PictureArray:
    """``pixels`` uint8 [N,3,R,R], mapped; ``labels`` int64 [N], 0 where there are no ``classes``."""

    pixels: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def size(self) -> int:
        """R."""
        return int(self.pixels.shape[-1])

    def images(self, rows: Sequence[int] | np.ndarray) -> Tensor:
        """float32 [len(rows),3,R,R] in -1..1."""
        return torch.from_numpy(self.pixels[np.asarray(rows)]).float().div_(127.5).sub_(1)


def squared(picture: Image.Image, size: int) -> np.ndarray:
    """The middle square at ``size`` px: uint8 [3,size,size]."""
    picture = picture.convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    box = (left, top, left + edge, top + edge)
    if edge % size == 0:  # whole areas: nothing rings at hard edges
        shrunk = picture.crop(box).reduce(edge // size) if edge > size else picture.crop(box)
    else:
        shrunk = picture.resize((size, size), Image.Resampling.LANCZOS, box)
    return np.ascontiguousarray(np.asarray(shrunk).transpose(2, 0, 1))


def opened(folder: Path) -> PictureArray | None:
    """What ``write_array`` left; None where it is not whole."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        pixels = np.load(folder / PIXELS, mmap_mode="r")
        return PictureArray(pixels, np.load(folder / LABELS), tuple(about["classes"]))
    except (OSError, ValueError, KeyError):
        return None


def write_array(
    folder: Path,
    rows: Iterable[tuple[Image.Image, str]],
    count: int,
    size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PictureArray:
    """``rows``: at most ``count`` (picture, class; empty without classes). All or nothing: the description is written
    last. Raises ValueError without a picture, and what ``rows`` and ``progress`` raise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{PIXELS}.tmp{os.getpid()}"
    names: list[str] = []
    done = 0
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=(count, 3, size, size))
        for picture, name in rows:
            pixels[done] = squared(picture, size)
            names.append(name)
            done += 1
            if done % 64 == 0 or done == count:
                progress(done, count)
            if done == count:
                break
        if not done:
            raise ValueError("there is no picture to train on")
        pixels.flush()
        if done < count:
            np.save(folder / f"{PIXELS}.cut.npy", pixels[:done])
            os.replace(folder / f"{PIXELS}.cut.npy", temporary)
        del pixels
        os.replace(temporary, folder / PIXELS)
    finally:
        temporary.unlink(missing_ok=True)
    classes = tuple(sorted(set(names))) if any(names) else ()
    place = {name: index for index, name in enumerate(classes)}
    np.save(folder / LABELS, np.array([place.get(name, 0) for name in names], np.int64))
    described = folder / f"{ABOUT}.tmp{os.getpid()}"
    described.write_text(json.dumps({"classes": classes, "size": size, "count": done}), encoding="utf-8")
    os.replace(described, folder / ABOUT)
    found = opened(folder)
    assert found is not None
    return found


class Batches:
    """Which pictures a step sees: a new order every time through, a function of seed and step alone, so that a run
    that goes on sees what it would have seen. ``part`` of ``parts`` processes takes its share of each batch.
    """

    def __init__(self, data: PictureArray, batch: int, seed: int, *, flip: bool = False, part: int = 0, parts: int = 1):
        if batch % parts:
            raise ValueError(f"batch: expected a multiple of {parts} processes, got {batch}")
        self.data, self.batch, self.seed, self.flip = data, batch, seed, flip
        self._share = slice(part * (batch // parts), (part + 1) * (batch // parts))
        self._orders: dict[int, np.ndarray] = {}

    def rows(self, step: int) -> np.ndarray:
        """int64 [batch / parts]."""
        first = step * self.batch
        places = np.arange(first, first + self.batch)[self._share]
        times, inside = places // len(self.data), places % len(self.data)
        return np.array([self._order(int(time))[place] for time, place in zip(times, inside, strict=True)])

    def at(self, step: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Pictures float32 [B,3,R,R] in -1..1, mirrored by chance where asked, and classes int64 [B]."""
        rows = self.rows(step)
        images = self.data.images(rows)
        if self.flip:
            mirrored = np.random.default_rng([self.seed, 1, step]).random(len(rows)) < 0.5
            images[mirrored] = images[mirrored].flip(3)
        return images.to(device), torch.from_numpy(self.data.labels[rows]).to(device)

    def _order(self, time: int) -> np.ndarray:
        if time not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k == time - 1}  # a batch spans two at most ...
            self._orders[time] = np.random.default_rng([self.seed, 0, time]).permutation(len(self.data))
        return self._orders[time]
