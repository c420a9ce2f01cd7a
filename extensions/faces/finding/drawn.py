"""Drawn faces by the network: a picture at several sizes for where they are, each face cut out for its details."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from extensions.faces.networks.drawn import MULTIPLE, STRIDE, DrawnFaces, places
from extensions.faces.vocabulary import PARTS, USUAL

from .face import Box, Face

_LONG_SIDES = (96, 160, 288, 512)
_SEEN_PX = (18, 96)
"""Heights of faces that the network was shown."""
_LEAST = 0.35
_SAME = 0.4
"""Intersection over union from which two boxes are one face."""
_ZOOMS = (0.92, 1.0, 1.08)
"""Of cut-outs of one face that are looked at for a single number."""
_FACE_SHARE, _FACE_MIDDLE = 0.55, (0.5, 0.53)
"""How high a face is in its cut-out, and where its middle lies: the middle of what the network was shown."""


def find_drawn(network: DrawnFaces, picture: Image.Image, device: torch.device, most: int = 16) -> list[Face]:
    """The faces of an RGB picture, the surest first."""
    found: list[tuple[float, Box]] = []
    for side in _sides(picture.size):
        found += _at(network, picture, side, device)
    return [look_closer(network, picture, box, score, device) for score, box in distinct(found)[:most]]


def look_closer(
    network: DrawnFaces, picture: Image.Image, box: Box, score: float, device: torch.device, again: bool = True
) -> Face:
    """The landmarks and parts of the face in a box; the box as its landmarks tell it."""
    side, size = (box[3] - box[1]) / _FACE_SHARE, network.size
    left = (box[0] + box[2]) / 2 - _FACE_MIDDLE[0] * side
    top = (box[1] + box[3]) / 2 - _FACE_MIDDLE[1] * side
    cut = cut_out(picture, left, top, side, size)
    told = network(_tensor(cut).to(device))
    points = places(told["landmarks"][0].float().cpu()).double().numpy() * STRIDE + STRIDE / 2
    points = points * side / size + (left, top)
    landmarks = {
        name: (float(x), float(y)) for name, (x, y) in zip(network.landmarks, points, strict=True) if name in USUAL
    }
    # Heads are looked for again where the first look saw one a little beside: landmarks are exact about the middle.
    better = _refined(told, left, top, side / size, box)
    if again and iou(better, box) < 0.85:
        return look_closer(network, picture, better, score, device, again=False)
    parts = _whole(told["parts"][0].float().cpu(), network.parts, picture.size, left, top, side, size)
    return Face(better, score, landmarks, parts, "drawn").completed()


def mouth_opening(network: DrawnFaces, picture: Image.Image, face: Face, device: torch.device) -> float:
    """How far the lips of ``face`` are apart in ``picture``, as a share of the face's height: the median of looks at
    several sizes, since a single one may take the rim of an open mouth for the wrong lip.
    """
    left, top, right, bottom = face.box
    middle, cuts = ((left + right) / 2, (top + bottom) / 2), []
    sides = [zoom * (bottom - top) / _FACE_SHARE for zoom in _ZOOMS]
    for side in sides:
        corner = (middle[0] - _FACE_MIDDLE[0] * side, middle[1] - _FACE_MIDDLE[1] * side)
        cuts.append(_tensor(cut_out(picture, *corner, side, network.size)))
    heat = network(torch.cat(cuts).to(device))["landmarks"].float().cpu()
    upper, lower = (network.landmarks.index(name) for name in ("upper lip", "lower lip"))
    gaps = []
    for one, side in zip(heat, sides, strict=True):
        points = places(one).double() * STRIDE * side / network.size
        gaps.append(float((points[lower] - points[upper]).norm()))
    return float(np.median(gaps)) / face.height


def cut_out(picture: Image.Image, left: float, top: float, side: float, size: int) -> Image.Image:
    """The square from (left, top), ``side`` pixels wide, at size x size; beyond the picture its edge goes on."""
    beyond = max(-left, -top, left + side - picture.width, top + side - picture.height)
    if beyond > 0:
        margin = int(beyond) + 2
        pixels = np.pad(np.asarray(picture), ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        picture, left, top = Image.fromarray(pixels), left + margin, top + margin
    return picture.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))


def distinct(found: Sequence[tuple[float, Box]]) -> list[tuple[float, Box]]:
    """The surest of each face, the surest first."""
    kept: list[tuple[float, Box]] = []
    for score, box in sorted(found, reverse=True):
        if all(iou(box, other) < _SAME for _, other in kept):
            kept.append((score, box))
    return kept


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / max(areas - shared, 1e-9)


def _sides(size: tuple[int, int]) -> list[int]:
    """The sizes to look at: enlarging shows nothing new beyond one and a half times."""
    usable = [side for side in _LONG_SIDES if side <= 1.5 * max(size)]
    return usable or [_LONG_SIDES[0]]


def _at(network: DrawnFaces, picture: Image.Image, side: int, device: torch.device) -> list[tuple[float, Box]]:
    scale = side / max(picture.size)
    width, height = (max(1, round(v * scale)) for v in picture.size)
    shown = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0))
    padding = ((0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0))
    told = network(_tensor(Image.fromarray(np.pad(shown, padding, mode="edge"))).to(device))
    heat, sizes = told["centre"][0, 0].float().sigmoid().cpu(), told["size"][0].float().cpu()
    peaks = functional.max_pool2d(heat[None, None], 5, 1, 2)[0, 0]
    found: list[tuple[float, Box]] = []
    for row, column in torch.nonzero((heat == peaks) & (heat > _LEAST)).tolist():
        box = _box(sizes, row, column)
        if _SEEN_PX[0] <= box[3] - box[1] <= _SEEN_PX[1]:
            found.append((float(heat[row, column]), tuple(v / scale for v in box)))  # type: ignore[arg-type]
    return found


def _box(sizes: Tensor, row: int, column: int) -> Box:
    w, h = sizes[:, row, column].exp().tolist()
    x, y = STRIDE * (column + 0.5), STRIDE * (row + 0.5)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _refined(told: dict[str, Tensor], left: float, top: float, scale: float, box: Box) -> Box:
    """The box as the closer look sees it; the one before where it sees no middle."""
    heat = told["centre"][0, 0].float().cpu()
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    if float(heat[row, column].sigmoid()) < _LEAST:
        return box
    x0, y0, x1, y1 = _box(told["size"][0].float().cpu(), row, column)
    better = (left + x0 * scale, top + y0 * scale, left + x1 * scale, top + y1 * scale)
    return better if iou(better, box) > 0.3 else box


def _whole(
    logits: Tensor, names: Sequence[str], size: tuple[int, int], left: float, top: float, side: float, cut: int
) -> NDArray[np.uint8]:
    """Parts of a cut-out -> parts over the whole picture, background beyond the cut-out."""
    zoom = side / cut
    fine = functional.interpolate(logits[None], size=(cut, cut), mode="bilinear", align_corners=False)[0]
    edge = max(1, round(cut * zoom))
    if edge != cut:
        fine = functional.interpolate(fine[None], size=(edge, edge), mode="bilinear", align_corners=False)[0]
    table = np.array([PARTS.index(name) if name in PARTS else 0 for name in names], np.uint8)
    labels = table[fine.argmax(0).numpy()]
    whole = np.zeros((size[1], size[0]), np.uint8)
    x, y = round(left), round(top)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(size[0], x + edge), min(size[1], y + edge)
    if x0 < x1 and y0 < y1:
        whole[y0:y1, x0:x1] = labels[y0 - y : y1 - y, x0 - x : x1 - x]
    return whole


def _tensor(picture: Image.Image) -> Tensor:
    """float32 [1,3,H,W] in -1..1."""
    pixels = torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32).copy())
    return pixels.permute(2, 0, 1)[None].div(127.5).sub(1).contiguous()
