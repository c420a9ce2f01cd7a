"""Last station of supplied networks: two faces -> the first with the other's identity or expression, as the network
tells it. Runs on onnxruntime where that is installed, else on OpenCV.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.faces.finding.face import Face, similarity
from webui.api import ModelError

from .graph import Shape, inputs_of
from .supplied import Supplied

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
_POINTS = ("left pupil", "right pupil", "nose", "mouth left", "mouth right")
_TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Where recognisers want these points in a square of 112 pixels (Deng et al. 2019)."""
_TEMPLATE_PX, _USUAL_PX = 112, 128
_OTHERS = ("source", "driv", "reference", "identity", "embedding", "id")
"""Parts of the name of the input that takes the other face."""


class Network:
    """One ONNX file, ready to be called. Raises ModelError for what cannot be read."""

    def __init__(self, path: Path) -> None:
        self.name, self.inputs = path.name, inputs_of(path)
        try:
            import onnxruntime
        except ImportError:
            self._session = None
            try:
                self._network = cv2.dnn.readNetFromONNX(str(path))
            except cv2.error as error:
                raise _unreadable(path.name, error) from error
            return
        try:
            self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # its own errors have no common base
            raise _unreadable(path.name, error) from error

    def __call__(self, given: Mapping[str, Values]) -> Values:
        """Input -> float32 -> the first output, float32. Raises ModelError."""
        try:
            if self._session is not None:
                return np.asarray(self._session.run(None, dict(given))[0], np.float32)
            for name, value in given.items():
                self._network.setInput(value, name)
            return np.asarray(self._network.forward(), np.float32)
        except Exception as error:  # as above
            raise _unreadable(self.name, error) from error

    def every_output(self, given: Mapping[str, Values]) -> dict[str, Values]:
        """Input -> float32 -> output -> float32, in the file's order. Raises ModelError, without onnxruntime too."""
        if self._session is None:
            raise ModelError(f"{self.name} needs onnxruntime.", hint="pip install onnxruntime")
        names = [one.name for one in self._session.get_outputs()]
        try:
            made = self._session.run(names, dict(given))
        except Exception as error:  # as above
            raise _unreadable(self.name, error) from error
        return {name: np.asarray(value, np.float32) for name, value in zip(names, made, strict=True)}


class FaceNetwork:
    """A supplied network with what it needs beside it. Raises ModelError where its inputs are not understood."""

    def __init__(self, one: Supplied) -> None:
        self.network = Network(one.path)
        self.target, self.other = _roles(self.network.inputs, one.name)
        self.size = _size(self.network.inputs[self.target], one.about)
        self.range = _range(one.about, "range", (0.0, 1.0))
        self.takes_vector = len(self.network.inputs[self.other]) == 2
        if self.takes_vector and (one.embedder is None or not one.embedder.is_file()):
            raise ModelError(
                f"{one.name} takes a vector for the other face, and no network makes one.",
                hint=f'Beside it, in {one.path.stem}.json, name it: {{"embedder": "FILE.onnx"}}.',
            )
        self.embedder = Network(one.embedder) if self.takes_vector and one.embedder is not None else None
        self.embedder_range = _range(one.about, "embedder_range", (-1.0, 1.0))

    def placed(self, picture: Pixels, ours: Face, other: Pixels, theirs: Face) -> tuple[Pixels, NDArray[np.float32]]:
        """uint8 [H,W,3] with what the network made in its place, and where that is, float32 [H,W] of 0 and 1."""
        square, turn = aligned(picture, ours, self.size)
        made = self.network({self.target: _tensor(square, self.range), self.other: self._told(other, theirs)})
        result = _picture(made, self.range, self.size, self.network.name)
        height, width = picture.shape[:2]
        back = cv2.invertAffineTransform(turn)
        whole = cv2.warpAffine(result, back, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        inside = cv2.warpAffine(np.ones(square.shape[:2], np.float32), back, (width, height))
        return np.asarray(whole, np.uint8), (inside > 0.999).astype(np.float32)

    def _told(self, other: Pixels, theirs: Face) -> Values:
        """What the network takes for the other face."""
        if self.embedder is None:
            shape = self.network.inputs[self.other]
            return _tensor(aligned(other, theirs, _size(shape, {"size": self.size}))[0], self.range)
        ((name, shape),) = list(self.embedder.inputs.items())[:1]
        square, _ = aligned(other, theirs, _size(shape, {"size": _TEMPLATE_PX}))
        vector = self.embedder({name: _tensor(square, self.embedder_range)}).reshape(1, -1)
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def aligned(picture: Pixels, face: Face, size: int) -> tuple[Pixels, NDArray[np.float64]]:
    """The face in a square as recognisers want it, uint8 [size,size,3]; and the turn [2,3] that took it there."""
    scale = size / _TEMPLATE_PX if size % _TEMPLATE_PX == 0 else size / _USUAL_PX
    shift = 0.0 if size % _TEMPLATE_PX == 0 else (_USUAL_PX - _TEMPLATE_PX) / 2 * scale
    goal = np.array(_TEMPLATE) * scale + (shift, 0)
    turn, move = similarity(np.stack([face.point(name) for name in _POINTS]), goal)
    matrix = np.concatenate([turn, move[:, None]], 1)
    square = cv2.warpAffine(picture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(square, np.uint8), matrix


def _roles(inputs: Mapping[str, Shape], name: str) -> tuple[str, str]:
    """The inputs that take our face and the other's."""
    others = [key for key in inputs if any(part in key.lower() for part in _OTHERS)]
    if len(inputs) != 2 or len(others) > 1:
        told = ", ".join(f"{key} {list(shape)}" for key, shape in inputs.items())
        raise ModelError(f"{name} takes {told or 'nothing'}; expected two inputs, a target and a source.")
    other = others[0] if others else list(inputs)[1]
    target = next(key for key in inputs if key != other)
    if len(inputs[target]) != 4 or len(inputs[other]) not in (2, 4):
        raise ModelError(f"{name} takes {list(inputs[target])} and {list(inputs[other])}; expected pictures [1,3,S,S].")
    return target, other


def _size(shape: Shape, about: Mapping[str, Any]) -> int:
    """The square's edge: as the file has it, else as it is said beside it."""
    if len(shape) == 4 and shape[2] > 0 and shape[2] == shape[3]:
        return shape[2]
    said = about.get("size")
    return said if isinstance(said, int) and 16 <= said <= 1024 else _USUAL_PX


def _range(about: Mapping[str, Any], key: str, usual: tuple[float, float]) -> tuple[float, float]:
    said = about.get(key)
    if (
        isinstance(said, list)
        and len(said) == 2
        and all(isinstance(v, int | float) for v in said)
        and said[0] < said[1]
    ):
        return float(said[0]), float(said[1])
    return usual


def _tensor(square: Pixels, values: tuple[float, float]) -> Values:
    """uint8 [S,S,3] -> float32 [1,3,S,S] in this range."""
    low, high = values
    scaled = square.astype(np.float32) / 255 * (high - low) + low
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None], np.float32)


def _picture(made: Values, values: tuple[float, float], size: int, name: str) -> Pixels:
    """What a network made -> uint8 [size,size,3]. Raises ModelError."""
    if made.ndim != 4 or made.shape[:2] != (1, 3) or not np.isfinite(made).all():
        raise ModelError(f"{name} gave {list(made.shape)}; expected one picture [1,3,S,S] of numbers.")
    low, high = values
    pixels = ((made[0].transpose(1, 2, 0) - low) / (high - low) * 255).round().clip(0, 255).astype(np.uint8)
    return pixels if pixels.shape[0] == size else np.asarray(cv2.resize(pixels, (size, size)), np.uint8)


def _unreadable(name: str, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:300]
    return ModelError(
        f"{name} cannot be run: {reason}", hint="onnxruntime reads more than OpenCV: pip install onnxruntime"
    )
