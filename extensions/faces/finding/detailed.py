"""Landmarks by 2DFAN and parts by BiSeNet for faces whose boxes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from extensions.faces.networks import bisenet, fan
from extensions.faces.vocabulary import PARTS

from .drawn import cut_out
from .face import Face

_PARSED_SHARE = 0.55
"""How high a face is in what BiSeNet reads: CelebA's alignment shows hair and neck."""


def with_landmarks(network: fan.Fan, picture: Image.Image, face: Face, device: torch.device) -> Face:
    """``face`` with 2DFAN's landmarks."""
    left, top, right, bottom = face.box
    middle = np.array([(left + right) / 2, (top + bottom) / 2 - fan.LIFT * face.height])
    side = 200.0 * (face.width + face.height) / fan.REFERENCE_PX
    corner = middle - side / 2
    cut = cut_out(picture, float(corner[0]), float(corner[1]), side, fan.SIZE)
    pixels = torch.from_numpy(np.asarray(cut, np.float32).copy()).permute(2, 0, 1)[None] / 255
    points = peaks(network(pixels.to(device))[0].float().cpu())
    placed = points * side / fan.SIZE + corner
    landmarks = {name: tuple(placed[list(of)].mean(0).tolist()) for name, of in fan.IN_OURS.items()}
    return replace(face, landmarks=landmarks, estimated=frozenset()).completed()


def peaks(heat: Tensor) -> NDArray[np.float64]:
    """Heat maps float32 [L,64,64] -> float64 [L,2] in the network's input pixels: the hottest cell, a quarter of a cell
    towards its hotter neighbours (the paper's evaluation).
    """
    _, height, width = heat.shape
    best = heat.flatten(1).argmax(1).numpy()
    rows, columns = best // width, best % width
    points = np.stack([columns, rows], 1).astype(np.float64)
    values = heat.numpy()
    for i, (y, x) in enumerate(zip(rows, columns, strict=True)):
        if 0 < x < width - 1:
            points[i, 0] += 0.25 * np.sign(values[i, y, x + 1] - values[i, y, x - 1])
        if 0 < y < height - 1:
            points[i, 1] += 0.25 * np.sign(values[i, y + 1, x] - values[i, y - 1, x])
    return (points + 0.5) * fan.SIZE / width


def with_parts(network: bisenet.BiSeNet, picture: Image.Image, face: Face, device: torch.device) -> Face:
    """``face`` with BiSeNet's parts."""
    side = face.height / _PARSED_SHARE
    left, top = (face.box[0] + face.box[2] - side) / 2, (face.box[1] + face.box[3]) / 2 - 0.53 * side
    cut = cut_out(picture, left, top, side, bisenet.SIZE)
    pixels = torch.from_numpy(np.asarray(cut, np.float32).copy()).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (bisenet.MEAN, bisenet.STD))
    logits = network(((pixels - mean) / std)[None].to(device)).float().cpu()
    edge = max(1, round(side))
    fine = functional.interpolate(logits, (edge, edge), mode="bilinear", align_corners=False)[0].argmax(0).numpy()
    labels = np.array([PARTS.index(name) for name in bisenet.IN_OURS], np.uint8)[fine]
    whole = np.zeros((picture.height, picture.width), np.uint8)
    x, y = round(left), round(top)
    x0, y0, x1, y1 = max(0, x), max(0, y), min(picture.width, x + edge), min(picture.height, y + edge)
    if x0 < x1 and y0 < y1:
        whole[y0:y1, x0:x1] = labels[y0 - y : y1 - y, x0 - x : x1 - x]
    return replace(face, parts=whole)
