"""Ways through a latent space: from keyframes [K,...] to the points of a film [F,...]."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

PathKind = Literal["linear", "slerp", "spline", "circle"]


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Spherical interpolation of the last axis (Shoemake 1985): the length goes linearly from that of a to that of b,
    the direction with constant speed. Opposite or equal directions are interpolated linearly.
    """
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / length_a.clamp(min=1e-12), b / length_b.clamp(min=1e-12)
    angle = torch.acos((unit_a * unit_b).sum(-1, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    straight = sine < 1e-4
    safe = torch.where(straight, torch.ones_like(sine), sine)
    direction = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / safe
    curved = direction * ((1 - t) * length_a + t * length_b)
    return torch.where(straight, (1 - t) * a + t * b, curved)


def spline(keys: Tensor, at: float, *, closed: bool) -> Tensor:
    """The Catmull-Rom spline through ``keys`` at ``at`` in 0..K-1 (closed: 0..K): smooth, and through every key."""
    count = len(keys)
    place = min(math.floor(at), count - 1 if closed else max(count - 2, 0))
    t = at - place

    def key(index: int) -> Tensor:
        if closed:
            return keys[index % count]
        if index < 0:  # the ends go on as they came
            return 2 * keys[0] - keys[min(1, count - 1)]
        if index >= count:
            return 2 * keys[-1] - keys[max(count - 2, 0)]
        return keys[index]

    a, b, c, d = (key(place + offset) for offset in (-1, 0, 1, 2))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def circle(a: Tensor, b: Tensor, centre: Tensor, turn: float) -> Tensor:
    """A circle around ``centre`` through ``a``, in the plane of a and b; ``turn`` 0..1 is once around."""
    across = a - centre
    flat, other = across.flatten(), (b - centre).flatten()
    radius = flat.norm()
    other = other - flat * (torch.dot(other, flat) / radius.square().clamp(min=1e-12))
    beside = (other / other.norm().clamp(min=1e-12) * radius).view_as(a)
    angle = 2 * math.pi * turn
    return centre + across * math.cos(angle) + beside * math.sin(angle)


def walk(keys: Tensor, frames: int, kind: PathKind, *, loop: bool, centre: Tensor | None = None) -> Tensor:
    """``frames`` points along ``keys`` [K,...]: [frames,...]. A loop ends a frame before where it began; an open walk
    ends on its last key. Raises ValueError on fewer than two keys.
    """
    count = len(keys)
    if count < 2 or frames < 1:
        raise ValueError(f"a walk needs two keyframes and a frame, got {count} and {frames}")
    if kind == "circle":
        middle = torch.zeros_like(keys[0]) if centre is None else centre.expand_as(keys[0])
        return torch.stack([circle(keys[0], keys[1], middle, i / frames) for i in range(frames)])
    length = count if loop else count - 1
    points = []
    for i in range(frames):
        at = i * length / frames if loop else i * length / max(frames - 1, 1)
        if kind == "spline":
            points.append(spline(keys, at, closed=loop))
            continue
        place = min(math.floor(at), length - 1)
        a, b, t = keys[place], keys[(place + 1) % count], at - place
        points.append(slerp(a, b, t) if kind == "slerp" else a + (b - a) * t)
    return torch.stack(points)
