"""The judge as a feature network of the application: what scores that compare sets of pictures take from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from webui.api import Component, ComponentKey, ModelError, Models, PromptRequest

from .config import BUNDLED
from .judge import Judge, load_judge
from .world.reading import requested_heads


class JudgeNetwork:
    """``webui.api.FeatureExtractor``: 128 features, and the logits of each attribute of the drawing world."""

    def __init__(self, models: Models, weights: str = "", resize: str = "area") -> None:
        """Raises ModelError, NotFound."""
        path = models.resolve(weights, "judge").path if weights else BUNDLED / "judge" / "model.safetensors"
        if path is None or not path.is_file():
            raise ModelError("the starter's judge is not there.", hint="models/starter/judge comes with the project.")
        self._folder = path.parent
        self.resize = resize
        self.component = Component(ComponentKey.of(self._folder, "judge", "float32"), lambda: load_judge(self._folder))

    @cached_property
    def _judge(self) -> Judge:
        return load_judge(self._folder)

    @property
    def protocol(self) -> Mapping[str, Any]:
        return {"weights": _sha256(self._folder), "resize": "area mean", "antialias": True, "size": self._judge.size}

    @property
    def heads(self) -> Mapping[str, Sequence[str]]:
        return self._judge.attributes

    def prepare(self, picture: Image.Image) -> NDArray[np.float32]:
        """-> float32 [3,size,size] in -1..1, each pixel the mean over its area."""
        size = self._judge.size
        pixels = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1)
        for axis, length in ((1, picture.height), (2, picture.width)):
            if length != size:
                pixels = _area_means(pixels, axis, size)
        return np.ascontiguousarray(pixels / np.float32(127.5) - np.float32(1))

    def read(self, network: Judge, batch: Tensor) -> Mapping[str, Tensor]:
        features = network.features(batch)
        return {"features": features, **network.told(features)}

    def layers(self, network: Judge, batch: Tensor) -> Sequence[Tensor]:
        """The trunk's activations, at 32, 16, 8 ... of 64 pixels."""
        return network.layers(batch)

    def asked(self, prompt: str) -> PromptRequest | None:
        """What a prompt of the drawing world asks for, by the heads that this judge has."""
        said = requested_heads(prompt)
        if said is None:
            return None
        named, implied = ({n: v for n, v in part.items() if v in self.heads.get(n, ())} for part in said)
        return PromptRequest(named, implied) if named else None


def _sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _area_means(pixels: NDArray[np.float32], axis: int, size: int) -> NDArray[np.float32]:
    """The mean over whole places floor(i n / size) to ceil((i + 1) n / size), as torch's area interpolation has it."""
    n = pixels.shape[axis]
    moved = np.moveaxis(pixels, axis, -1)
    if n % size == 0:
        means = moved.reshape(*moved.shape[:-1], size, n // size).mean(-1)
    else:
        spans = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        means = np.stack([moved[..., first:last].mean(-1) for first, last in spans], -1)
    return np.moveaxis(means, -1, axis)
