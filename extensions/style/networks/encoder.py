"""At the bottom of this room: encoders built as VGG is, ours and torchvision's VGG-19, and the decoder of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

VGG19_CHANNELS = (64, 64, "M", 128, 128, "M", *(256,) * 4, "M", *(512,) * 4, "M", *(512,) * 4, "M")
"""Simonyan and Zisserman 2015, configuration E."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Plan:
    """What an encoder is made of. ``taps`` are places of activations among its layers: those whose statistics are
    style, from fine to coarse. ``content`` is the one whose values are content.
    """

    title: str
    channels: tuple[int | str, ...]
    taps: tuple[int, ...]
    content: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


VGG19 = Plan("VGG-19", VGG19_CHANNELS, (1, 6, 11, 20, 29), 22, _IMAGENET_MEAN, _IMAGENET_STD)
"""relu1_1 to relu5_1, and relu4_2 (Gatys et al. 2016, section 3)."""


def own_plan(config: Mapping[str, Any]) -> Plan:
    """The plan that a file of ours states. Raises KeyError, TypeError, ValueError."""
    channels = tuple(one if isinstance(one, str) else int(one) for one in config["channels"])
    taps = tuple(int(tap) for tap in config["taps"])
    mean, std = (float(config["mean"]),) * 3, (float(config["std"]),) * 3
    return Plan("starter", channels, taps, taps[-1], mean, std)


def own_decoder(config: Mapping[str, Any]) -> Decoder:
    """The decoder that a file of ours states. Raises KeyError, TypeError, ValueError."""
    return Decoder(tuple(config["channels"]), tuple(config.get("skips", ())))


class Encoder(nn.Module):
    """Pictures float32 [N,3,H,W] in 0..1 -> activations of chosen layers."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        layers: list[nn.Module] = []
        before = 3
        for wide in plan.channels[: _needed(plan)]:
            if isinstance(wide, str):
                layers.append(nn.MaxPool2d(2) if wide == "M" else nn.AvgPool2d(2))
                continue
            layers += [nn.Conv2d(before, wide, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
            before = wide
        self.features = nn.Sequential(*layers)
        self.register_buffer("mean", torch.tensor(plan.mean)[None, :, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(plan.std)[None, :, None, None], persistent=False)

    def forward(self, pictures: Tensor, places: Collection[int] | None = None) -> dict[int, Tensor]:
        """Place -> float32 [N,C,h,w] for ``places`` (the taps and the content)."""
        wanted = set(places if places is not None else (*self.plan.taps, self.plan.content))
        x, found = (pictures - self.mean) / self.std, {}
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in wanted:
                found[place] = x
            if place >= max(wanted):
                break
        return found


def _needed(plan: Plan) -> int:
    """How many of the channels lead to the deepest activation that is looked at."""
    last, place = max(*plan.taps, plan.content), -1
    for count, wide in enumerate(plan.channels):
        place += 1 if isinstance(wide, str) else 2
        if place >= last:
            return count + 1
    raise ValueError(f"encoder {plan.title}: it has no layer {last}")


class Decoder(nn.Module):
    """The mirror of an encoder: its last activations float32 [N,C,h,w] -> pictures [N,3,8h,8w], about 0..1.

    ``skips``: finer taps of the encoder, from coarse to fine, whose activations come in at their scale, each by a
    convolution beside the one that mirrors the tap's own (multi-scale AdaIN: Sheng et al., Avatar-Net, 2018, section
    3.2): detail that the last scale has lost.
    """

    def __init__(self, channels: Sequence[int | str], skips: Sequence[int] = ()) -> None:
        """Raises ValueError for skips that are no taps."""
        super().__init__()
        self.taken = tuple(int(tap) for tap in skips)
        layers: list[nn.Module] = []
        joined: list[nn.Module] = []
        self._joints: dict[int, int] = {}
        for tap, before, wide in reversed(_steps(channels)):
            if tap is None:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
                continue
            if tap in self.taken:
                self._joints[len(layers)] = len(joined)
                joined.append(nn.Conv2d(wide, before, 3, padding=1, padding_mode="reflect", bias=False))
            layers += [nn.Conv2d(wide, before, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
        if len(joined) != len(self.taken):
            raise ValueError(f"skips: expected places of activations, from coarse to fine, got {self.taken}")
        self.features, self.skips = nn.Sequential(*layers[:-1]), nn.ModuleList(joined)

    def forward(self, activations: Tensor, finer: Sequence[Tensor] = ()) -> Tensor:
        """``finer``: what ``skips`` name, [N,C,2h,2w] and so on."""
        x = activations
        for place, layer in enumerate(self.features):
            joint = self._joints.get(place)
            x = layer(x) if joint is None else layer(x) + self.skips[joint](finer[joint])
        return x.add(1).div(2)


def _steps(channels: Sequence[int | str]) -> list[tuple[int | None, int, int]]:
    """Of each entry: the place of its activations in the encoder (None: it halves), channels before and after it."""
    found: list[tuple[int | None, int, int]] = []
    before, place = 3, -1
    for wide in channels:
        place += 1 if isinstance(wide, str) else 2
        found.append((None, before, before) if isinstance(wide, str) else (place, before, wide))
        before = before if isinstance(wide, str) else wide
    return found
