"""``<lora:name:0.8>`` inside a prompt, as whoever attaches networks to a model takes it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .remarks import Remark, shortened

TAG = r"<(?:lora|lyco|hypernet):[^<>]*>"
"""A scanner's pattern of a whole tag; linear, since it ends at the next angle bracket."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")


@dataclass(frozen=True)
class LoraTag:
    """A network named in a prompt. ``prompt[start:end]`` is the tag."""

    name: str
    text_encoder: float
    """Weight in the text encoders."""
    unet: float
    """Weight in the denoiser."""
    start: int = 0
    end: int = 0


def read_tag(text: str, start: int) -> tuple[LoraTag | None, list[Remark]]:
    """The network that the tag ``text``, found at ``start`` of a prompt, names: ``name``, then its weight in the text
    encoders (1.0) and in the denoiser (the same), by place or as ``te=`` and ``unet=``. None where it names none.
    """
    end = start + len(text)
    kind, _, body = text[1:-1].partition(":")
    name, *rest = [part.strip() for part in body.split(":")]
    if kind == "hypernet":
        return None, [
            Remark(start, end, "Hypernetworks are not supported: {tag} was left out.", {"tag": shortened(text)})
        ]
    if not name:
        return None, [Remark(start, end, "This tag names no network: it was left out.", error=True)]
    weights: dict[str, float] = {}
    remarks = []
    places = iter(("te", "unet"))
    for part in rest:
        key, equals, value = part.rpartition("=")
        place = key.strip() if equals else next(places, "")
        number = _number(value)
        if place == "dyn" or not place:
            continue  # dynamic rank, of another kind of network
        if place not in ("te", "unet") or number is None:
            words = "{part} is no weight of a network: expected a number, such as 0.8."
            remarks.append(Remark(start, end, words, {"part": shortened(part) or "''"}, error=True))
            continue
        weights[place] = number
    encoder = weights.get("te", 1.0)
    return LoraTag(name, encoder, weights.get("unet", encoder), start, end), remarks


def _number(text: str) -> float | None:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
