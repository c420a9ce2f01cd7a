"""LivePortrait's networks, ready to be called: a face's square -> its appearance and motion; key points -> the square
drawn anew. Runs on onnxruntime, on the processor: elsewhere its published builds know no volumes in GridSample.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from extensions.faces.backends.graph import Shape, operators_of
from extensions.faces.backends.running import Network
from webui.api import ModelError

from .files import PortraitFolder
from .motion import POINTS, Motion, motion_of
from .motion import Values as Points

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]
SIDE_PX = 256
"""Edge of the square that the networks see."""
_FLAT = 3 * POINTS
_PLUGIN = "GridSample3D"
"""In exports for TensorRT in place of GridSample: an operator of a plug-in, which nothing else knows."""
_OUTPUTS = {"translation": "t", "expression": "exp", "motion_points": "kp"}
_ANGLES = ("pitch", "yaw", "roll")
_DRIVING = ("kp_driving", "driving")


class Portrait:
    """The networks of one folder. Raises ModelError for one that is missing, cannot be read or has another layout."""

    def __init__(self, folder: PortraitFolder) -> None:
        self.folder = folder
        self.used: list[Path] = []
        """The files that were read so far."""
        self._appearance = self._network("appearance")
        self._motion = self._network("motion")
        for network in (self._appearance, self._motion):
            _expect(network, [(1, 3, SIDE_PX, SIDE_PX)])
        self._decoder = None if "whole" in folder.files else self._network("decoder")
        self._warping = self._network("warping" if self._decoder else "whole")
        self._driving, self._source, self._volume = self._inputs_of_warping()
        self._stitching = self._network("stitching")
        self._retargeting = {role: self._network(role) for role in ("eyes", "lips") if role in folder.files}
        for role, size in (("eyes", _FLAT + 3), ("lips", _FLAT + 2)):
            if role in self._retargeting:
                _expect(self._retargeting[role], [(1, size)])

    def can(self, role: str) -> bool:
        """Whether the folder has the network of ``eyes`` or ``lips``."""
        return role in self._retargeting

    def need(self, role: str) -> None:
        """Raises ModelError where the folder has no network of ``eyes`` or ``lips``."""
        self.folder.need(role)

    def appearance(self, square: Pixels) -> Values:
        """uint8 [256,256,3] -> the volume of its appearance, [1,C,D,H,W]. Raises ModelError."""
        (name,) = self._appearance.inputs
        volume = self._appearance({name: _tensor(square)})
        wanted = self._warping.inputs[self._volume]
        if not np.isfinite(volume).all() or not _fits(volume.shape, wanted):
            raise ModelError(
                f"{self._appearance.name} gave {list(volume.shape)}; {self._warping.name} takes {list(wanted)}.",
                hint="Both must be of one export.",
            )
        return volume

    def motion(self, square: Pixels) -> Motion:
        """uint8 [256,256,3] -> its key points and what moves them. Raises ModelError."""
        (name,) = self._motion.inputs
        made = self._motion.every_output({name: _tensor(square)})
        try:
            return motion_of(_named(made))
        except (ValueError, KeyError) as error:
            told = ", ".join(f"{key} {list(value.shape)}" for key, value in made.items())
            raise ModelError(
                f"{self._motion.name} gave {told}: {error}.",
                hint="Expected pitch, yaw, roll, t, exp, scale and kp of LivePortrait's motion extractor.",
            ) from None

    def stitched(self, source: Points, driving: Points) -> Points:
        """Driving key points [21,3] that leave the square's edge where it was (section 3.3). Raises ModelError."""
        inputs = self._stitching.inputs
        if len(inputs) == 2:  # exports that add the result themselves
            name = _driving_of(inputs, self._stitching.name)
            other = next(key for key in inputs if key != name)
            made = self._stitching({name: _row(driving, inputs[name]), other: _row(source, inputs[other])})
            return _numbers(made, _FLAT, self._stitching.name).reshape(POINTS, 3)
        (name,) = inputs
        given = np.concatenate([source.reshape(-1), driving.reshape(-1)]).astype(np.float32)[None]
        made_row = _numbers(self._stitching({name: given}), _FLAT + 2, self._stitching.name)
        stitched = driving + made_row[:_FLAT].reshape(POINTS, 3)
        stitched[:, :2] += made_row[_FLAT:]
        return stitched

    def retargeted(self, role: str, source: Points, ratios: tuple[float, ...]) -> Points:
        """What is added to key points [21,3] for ``eyes`` or ``lips`` to be as far open as the last of the ratios says;
        the others say how they are (section 3.3). Raises ModelError.
        """
        self.need(role)
        network = self._retargeting[role]
        (name,) = network.inputs
        given = np.concatenate([source.reshape(-1), ratios]).astype(np.float32)[None]
        return _numbers(network({name: given}), _FLAT, network.name).reshape(POINTS, 3)

    def drawn(self, volume: Values, source: Points, driving: Points) -> Pixels:
        """The square with its key points moved from [21,3] to [21,3], uint8 [S,S,3]. Raises ModelError."""
        shapes = self._warping.inputs
        made = self._warping(
            {
                self._volume: volume,
                self._source: _row(source, shapes[self._source]),
                self._driving: _row(driving, shapes[self._driving]),
            }
        )
        last = self._warping
        if self._decoder is not None:
            (name,) = self._decoder.inputs
            last, made = self._decoder, self._decoder({name: made})
        if made.ndim != 4 or made.shape[:2] != (1, 3) or made.shape[2] != made.shape[3] or not np.isfinite(made).all():
            raise ModelError(f"{last.name} gave {list(made.shape)}; expected a picture [1,3,512,512] of numbers.")
        return (made[0].transpose(1, 2, 0) * 255).round().clip(0, 255).astype(np.uint8)

    def _network(self, role: str) -> Network:
        files = self.folder.need(role)
        runs = [path for path in files if role not in ("whole", "warping") or _PLUGIN not in operators_of(path)]
        if not runs:
            raise ModelError(
                f"{files[0].name} is an export for TensorRT: {_PLUGIN} is the operator of a plug-in.",
                hint="Put the export with GridSample into the folder, such as warping_spade.onnx or "
                "warp_network_ori.onnx.",
            )
        self.used.append(runs[0])
        return Network(runs[0])

    def _inputs_of_warping(self) -> tuple[str, str, str]:
        """The inputs for the driving and the source's key points, and for the volume."""
        inputs = self._warping.inputs
        volumes = [name for name, shape in inputs.items() if len(shape) == 5]
        points = {name: shape for name, shape in inputs.items() if name not in volumes}
        if len(volumes) != 1 or len(points) != 2 or any(not _fits((1, POINTS, 3), s) for s in points.values()):
            raise ModelError(
                f"{self._warping.name} takes {_told(inputs)}; expected a volume [1,C,D,H,W] and twice {POINTS} key "
                "points [1,21,3].",
                hint="Is it LivePortrait's warping module? Where it decodes as well, name it warping_spade.onnx.",
            )
        driving = _driving_of(points, self._warping.name)
        return driving, next(name for name in points if name != driving), volumes[0]


def _driving_of(inputs: Mapping[str, Shape], name: str) -> str:
    """The input of the points that the others come to. Raises ModelError.

    FaceFusion's exports call them ``source``, and those of our face ``target``.
    """
    names = {key.lower(): key for key in inputs}
    for known in (*_DRIVING, "source" if "target" in names else ""):
        if known in names:
            return names[known]
    raise ModelError(f"{name} takes {_told(inputs)}; expected kp_source and kp_driving.")


def _named(made: Mapping[str, Values]) -> dict[str, Values]:
    """By the names of the paper; by their order where a file has others."""
    named = {_OUTPUTS.get(key.lower(), key.lower()): value for key, value in made.items()}
    if {*_ANGLES, "t", "exp", "scale", "kp"} <= named.keys():
        return named
    values = list(made.values())
    if len(values) != 7:
        raise ValueError(f"{len(values)} outputs, expected seven")
    # All exports begin with the angles, and give the expression before the key points.
    rest = {size: [v for v in values[3:] if v.size == size] for size in (1, 3, _FLAT)}
    if [len(found) for found in rest.values()] != [1, 1, 2]:
        raise ValueError("expected three angles, then a scale, a shift, and twice 63 numbers")
    by_order = dict(zip(_ANGLES, values[:3], strict=True))
    return {**by_order, "scale": rest[1][0], "t": rest[3][0], "exp": rest[_FLAT][0], "kp": rest[_FLAT][1]}


def _expect(network: Network, shapes: list[Shape]) -> None:
    """Raises ModelError unless a network takes inputs of these shapes."""
    met = list(network.inputs.values())
    if len(met) != len(shapes) or not all(_fits(a, b) for a, b in zip(shapes, met, strict=True)):
        raise ModelError(
            f"{network.name} takes {_told(network.inputs)}; expected {', '.join(str(list(one)) for one in shapes)}.",
            hint="Is it the file of LivePortrait that its name says? Take all files of one export.",
        )


def _fits(shape: Shape, wanted: Shape) -> bool:
    """Whether a tensor of this shape can be given; 0 is an open side."""
    return len(shape) == len(wanted) and all(b in (0, a) for a, b in zip(shape, wanted, strict=True))


def _told(inputs: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in inputs.items()) or "nothing"


def _row(points: Points, shape: Shape) -> Values:
    """Key points [21,3] as an input of this rank takes them."""
    row = points.astype(np.float32)[None]
    return row.reshape(1, -1) if len(shape) == 2 else row


def _numbers(made: Values, size: int, name: str) -> Points:
    flat = made.astype(np.float64).reshape(-1)
    if flat.size != size or not np.isfinite(flat).all():
        raise ModelError(f"{name} gave {list(made.shape)}; expected {size} numbers.")
    return flat


def _tensor(square: Pixels) -> Values:
    """uint8 [S,S,3] -> float32 [1,3,256,256] in 0..1."""
    if square.shape[:2] != (SIDE_PX, SIDE_PX):
        square = np.asarray(cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(square.astype(np.float32).transpose(2, 0, 1)[None] / 255)
