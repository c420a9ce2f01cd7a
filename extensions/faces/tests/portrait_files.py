"""LivePortrait's networks in small, with random weights: names, shapes and operators of the exports that people use.

They are no toys of another kind: the appearance is the picture itself as a volume, warping shifts it by how far key
points moved, through a GridSample of five dimensions as the real one, and the rest are MLPs and linear maps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from extensions.faces.tests.onnx_files import attribute, value_info
from extensions.faces.tests.onnx_files import field as message

Array = NDArray[np.float32] | NDArray[np.int64]
Attributes = Mapping[str, Sequence[int] | int | str]
LICENCE = "Portrait licence\n\nFor tests of motion alone.\n"
OPSET = 20
DEPTH = 2
_FLOAT, _INT64 = 1, 7
MOTION_SIZES = {"pitch": 66, "yaw": 66, "roll": 66, "t": 3, "exp": 63, "scale": 1, "kp": 63}


@dataclass
class Graph:
    """A graph in the making."""

    inputs: dict[str, Sequence[int]]
    outputs: dict[str, Sequence[int]]
    nodes: list[bytes] = field(default_factory=list)
    weights: list[bytes] = field(default_factory=list)

    def node(self, operator: str, inputs: Sequence[str], output: str, attributes: Attributes | None = None) -> None:
        told = b"".join(message(1, name) for name in inputs) + message(2, output) + message(3, output)
        told += message(4, operator)
        for name, value in (attributes or {}).items():
            told += message(5, _text(name, value) if isinstance(value, str) else attribute(name, value))
        self.nodes.append(message(1, told))

    def weight(self, name: str, value: Array) -> str:
        kind = _INT64 if value.dtype == np.int64 else _FLOAT
        dims = b"".join(message(1, side) for side in value.shape)
        self.weights.append(message(5, dims + message(2, kind) + message(8, name) + message(9, value.tobytes())))
        return name

    def write(self, path: Path, opset: int = OPSET) -> Path:
        graph = b"".join(self.nodes) + message(2, "test") + b"".join(self.weights)
        graph += b"".join(message(11, value_info(*row)) for row in self.inputs.items())
        graph += b"".join(message(12, value_info(*row)) for row in self.outputs.items())
        path.write_bytes(message(1, 9) + message(7, graph) + message(8, message(1, "") + message(2, opset)))
        return path


def _text(name: str, value: str) -> bytes:
    return message(1, name) + message(4, value) + message(20, 3)


def appearance(path: Path, name: str = "img") -> Path:
    """[1,3,256,256] -> the picture at a quarter of its sides, twice over the depth: [1,3,2,64,64]."""
    graph = Graph({name: (1, 3, 256, 256)}, {"output": (1, 3, DEPTH, 64, 64)})
    graph.node("AveragePool", [name], "small", {"kernel_shape": (4, 4), "strides": (4, 4)})
    graph.node("Unsqueeze", ["small", graph.weight("axes", np.array([2], np.int64))], "deep")
    graph.node("Concat", ["deep"] * DEPTH, "output", {"axis": 2})
    return graph.write(path)


def motion(path: Path, name: str = "img", names: Mapping[str, str] | None = None, seed: int = 0) -> Path:
    """[1,3,256,256] -> angles, shift, expression, scale and key points, linear in the mean colours of quarters."""
    random = np.random.RandomState(seed)
    names = names or {key: key for key in MOTION_SIZES}
    graph = Graph({name: (1, 3, 256, 256)}, {new: (1, MOTION_SIZES[key]) for key, new in names.items()})
    graph.node("AveragePool", [name], "quarters", {"kernel_shape": (128, 128), "strides": (128, 128)})
    graph.node("Flatten", ["quarters"], "flat", {"axis": 1})
    for key, new in names.items():
        size = MOTION_SIZES[key]
        reach = {"pitch": 0.5, "yaw": 0.5, "roll": 0.5, "kp": 0.0}.get(key, 0.02)
        middle = random.uniform(-0.5, 0.5, size) if key == "kp" else np.full(size, float(key == "scale"))
        weights = reach * random.randn(12, size)
        graph.weight(f"w_{key}", weights.astype(np.float32))
        graph.weight(f"b_{key}", middle.astype(np.float32))
        graph.node("Gemm", ["flat", f"w_{key}", f"b_{key}"], new)
    return graph.write(path)


def mlp(path: Path, sizes: Sequence[int], seed: int, reach: float = 0.02) -> Path:
    """[1,a] -> [1,b]: linear layers with ReLU between them."""
    graph = Graph({"input": (1, sizes[0])}, {"output": (1, sizes[-1])})
    last = "input"
    for i, (weights, offset) in enumerate(layers(sizes, seed, reach)):
        graph.weight(f"w{i}", weights)
        graph.weight(f"b{i}", offset)
        final = i == len(sizes) - 2
        graph.node("Gemm", [last, f"w{i}", f"b{i}"], "output" if final else f"h{i}")
        if not final:
            graph.node("Relu", [f"h{i}"], f"r{i}")
        last = f"r{i}"
    return graph.write(path)


def layers(sizes: Sequence[int], seed: int, reach: float) -> list[tuple[Array, Array]]:
    """Weights [a,b] and offsets [b] of ``mlp``."""
    random = np.random.RandomState(seed)
    made = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        scale = reach if i == len(sizes) - 2 else 1.0
        weights = scale * random.randn(a, b) / np.sqrt(a)
        if i == 0:
            weights[-1] *= 20  # the wanted ratio, one number of many, is to be seen
        made.append((weights.astype(np.float32), (scale * random.randn(b)).astype(np.float32)))
    return made


def warping(
    path: Path,
    *,
    decodes: bool = True,
    operator: str = "GridSample",
    names: Sequence[str] = ("feature_3d", "kp_driving", "kp_source"),
    opset: int = OPSET,
) -> Path:
    """A volume and key points twice -> the volume shifted by how far key points moved on average; where it ``decodes``,
    as a picture of 512.
    """
    volume, driving, source = names
    shape = (1, 3, DEPTH, 64, 64)
    made = (1, 3, 512, 512) if decodes else shape
    graph = Graph({volume: shape, driving: (1, 21, 3), source: (1, 21, 3)}, {"out": made})
    graph.node("Sub", [source, driving], "moved")
    if opset < 18:  # axes were attributes
        graph.node("ReduceMean", ["moved"], "mean", {"axes": (1,)})
    else:
        graph.node("ReduceMean", ["moved", graph.weight("axes", np.array([1], np.int64))], "mean")
    graph.node("Reshape", ["mean", graph.weight("wide", np.array([1, 1, 1, 1, 3], np.int64))], "shift")
    z, y, x = np.meshgrid(*(_centres(n) for n in (DEPTH, 64, 64)), indexing="ij")
    graph.weight("grid", np.stack([x, y, z], -1)[None].astype(np.float32))
    graph.node("Add", ["grid", "shift"], "places")
    mode = "linear" if opset >= 20 else "bilinear"
    attributes: Attributes = {"mode": mode, "padding_mode": "border", "align_corners": 0}
    graph.node(operator, [volume, "places"], "warped" if decodes else "out", attributes)
    if decodes:
        _decode(graph, "warped")
    return graph.write(path, opset)


def decoder(path: Path) -> Path:
    """A warped volume -> a picture [1,3,512,512]."""
    graph = Graph({"feature": (1, 3, DEPTH, 64, 64)}, {"out": (1, 3, 512, 512)})
    _decode(graph, "feature")
    return graph.write(path)


def stitcher_that_adds(path: Path) -> Path:
    """``source`` moves, ``target`` stays, as in FaceFusion's exports: gives the moving points themselves."""
    graph = Graph({"source": (1, 21, 3), "target": (1, 21, 3)}, {"output": (1, 21, 3)})
    graph.node("Sub", ["source", "target"], "moved")
    graph.node("Mul", ["moved", graph.weight("half", np.array([0.5], np.float32))], "less")
    graph.node("Add", ["target", "less"], "output")
    return graph.write(path)


STITCHING, EYES, LIPS = (126, 128, 128, 64, 65), (66, 256, 256, 128, 128, 64, 63), (65, 128, 128, 64, 63)


def put_portrait(folder: Path, *, licence: str = LICENCE) -> Path:
    """All networks under the names of FasterLivePortrait's exports."""
    folder.mkdir(parents=True)
    appearance(folder / "appearance_feature_extractor.onnx")
    motion(folder / "motion_extractor.onnx")
    warping(folder / "warping_spade.onnx")
    mlp(folder / "stitching.onnx", STITCHING, 1, 0.0)
    mlp(folder / "stitching_eye.onnx", EYES, 2)
    mlp(folder / "stitching_lip.onnx", LIPS, 3, 0.1)
    if licence:
        (folder / "LICENSE").write_text(licence)
    return folder


def _decode(graph: Graph, volume: str) -> None:
    graph.node("ReduceMean", [volume, graph.weight("depth", np.array([2], np.int64))], "flat", {"keepdims": 0})
    sizes = graph.weight("sizes", np.array([1, 3, 512, 512], np.int64))
    graph.node("Resize", ["flat", "", "", sizes], "out", {"mode": "linear"})


def _centres(count: int) -> NDArray[np.float64]:
    """Of ``count`` cells from -1 to 1."""
    return (np.arange(count) + 0.5) / count * 2 - 1
