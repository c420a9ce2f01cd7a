"""Below the training of style transfer: an encoder as VGG is built, its mirror image, and files of both.

The layout of the files is torchvision's of VGG (``features.<n>.weight``), so that what reads one reads the other; their
metadata says the channels, where activations are taken, and the range that pictures come in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

POOL = "A"
"""Among the channels: the mean over squares of 2 x 2. Means carry gradients to every pixel (Gatys et al. 2016, 2)."""
ENCODER, DECODER = "style_encoder", "style_decoder"


class Encoder(nn.Module):
    """float32 [N,3,H,W] in -1..1 -> activations float32 [N,C,h,w], one a scale, from fine to coarse."""

    def __init__(self, channels: Sequence[int | str]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        layers: list[nn.Module] = []
        self.taps: list[int] = []
        before, fresh = 3, True
        for wide in self.channels:
            if isinstance(wide, str):
                layers.append(nn.AvgPool2d(2))
                fresh = True
                continue
            layers += [nn.Conv2d(before, wide, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
            if fresh:
                self.taps.append(len(layers) - 1)
            before, fresh = wide, False
        self.features = nn.Sequential(*layers)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        found, x = [], pictures
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.taps:
                found.append(x)
        return found

    @torch.no_grad()
    def equalise(self, pictures: Tensor) -> Tensor:
        """Scale weights so that each channel's mean square activation is 1 over ``pictures``; what the network computes
        stays the same up to those factors. Gatys et al. 2016, section 2, scale the means: a channel that is rarely
        active would then outweigh all others in squared differences. A channel that is silent is left as it is. The
        factors [C] by which the last scale's were divided.
        """
        x, before = pictures, torch.ones(3, device=pictures.device)
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(before[None, :, None, None])
                sizes = layer(x).relu().square().mean(dim=(0, 2, 3)).sqrt()
                scale = torch.where(sizes > 1e-4, sizes, 1.0)
                layer.weight.div_(scale[:, None, None, None])
                layer.bias.div_(scale)
                before = scale
            x = layer(x)
        return before


class Decoder(nn.Module):
    """Activations of the encoder's last scale, float32 [N,C,h,w] -> pictures [N,3,8h,8w], about -1..1.

    ``skips`` are finer taps of the encoder, from coarse to fine, whose activations come in at their scale, each by a
    convolution beside the one that mirrors the tap's own: detail that the last scale has lost (multi-scale AdaIN, as
    Sheng et al., Avatar-Net, 2018, section 3.2 fuse it).
    """

    def __init__(self, channels: Sequence[int | str], skips: Sequence[int] = ()) -> None:
        super().__init__()
        self.channels, self.taken = tuple(channels), tuple(skips)
        layers: list[nn.Module] = []
        self.joints: dict[int, int] = {}
        joined: list[nn.Module] = []
        for tap, before, wide in reversed(_steps(self.channels)):
            if tap is None:
                layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
                continue
            if tap in self.taken:
                self.joints[len(layers)] = len(joined)
                joined.append(nn.Conv2d(wide, before, 3, padding=1, padding_mode="reflect", bias=False))
                nn.init.zeros_(joined[-1].weight)  # type: ignore[arg-type]
            layers += [nn.Conv2d(wide, before, 3, padding=1, padding_mode="reflect"), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)  # type: ignore[arg-type]
            nn.init.zeros_(layers[-2].bias)  # type: ignore[arg-type]
        self.features, self.skips = nn.Sequential(*layers[:-1]), nn.ModuleList(joined)
        nn.init.normal_(self.features[-1].weight, std=0.02)  # type: ignore[arg-type]

    def forward(self, activations: Tensor, finer: Sequence[Tensor] = ()) -> Tensor:
        """``finer``: the activations of ``skips``, [N,C,2h,2w] and so on; none at all leaves them out."""
        x = activations
        for place, layer in enumerate(self.features):
            joint = self.joints.get(place) if finer else None
            x = layer(x) if joint is None else layer(x) + self.skips[joint](finer[joint])
        return x


def _steps(channels: Sequence[int | str]) -> list[tuple[int | None, int, int]]:
    """Of each entry: the place of its activations in the encoder (None: it halves), channels before and after it."""
    found: list[tuple[int | None, int, int]] = []
    before, place = 3, -1
    for wide in channels:
        place += 1 if isinstance(wide, str) else 2
        found.append((None, before, before) if isinstance(wide, str) else (place, before, wide))
        before = before if isinstance(wide, str) else wide
    return found


@dataclass(frozen=True)
class Statistics:
    """Of activations [N,C,h,w]: means and deviations [N,C,1,1], and Gram matrices [N,C,C], the mean over places of the
    channels' products (Gatys et al. 2016, equation 3).
    """

    means: Tensor
    deviations: Tensor
    grams: Tensor


def statistics(activations: Tensor) -> Statistics:
    """All of them from one product: variances are the Gram matrix's diagonal less the squared means."""
    flat = activations.float().flatten(2)
    grams = flat @ flat.transpose(1, 2) / flat.shape[2]
    means = flat.mean(dim=2)
    variances = (grams.diagonal(dim1=1, dim2=2) - means.square()).clamp(min=0)
    return Statistics(means[..., None, None], (variances + 1e-5).sqrt()[..., None, None], grams)


def normal(activations: Tensor, its: Statistics) -> Tensor:
    """Without their statistics: what of them is content."""
    return (activations.float() - its.means) / its.deviations


def write_network(path: Path, network: Encoder | Decoder) -> None:
    """Half-precision weights with what builds the network again, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {"channels": network.channels, "mean": 0.5, "std": 0.5}
    config |= {"taps": network.taps} if isinstance(network, Encoder) else {"skips": network.taken}
    kind = ENCODER if isinstance(network, Encoder) else DECODER
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    save_file(
        {k: v.detach().half().cpu().contiguous() for k, v in network.state_dict().items()},
        temporary,
        metadata={"lifelike.kind": kind, "lifelike.config": json.dumps(config)},
    )
    os.replace(temporary, path)


def read_network(path: Path) -> Encoder | Decoder:
    """A network of these in evaluation mode. Raises OSError, KeyError for a file that is none."""
    with safe_open(path, "pt") as opened:
        about = opened.metadata()
    config = json.loads(about["lifelike.config"])
    channels, skips = config["channels"], config.get("skips", ())
    network = Encoder(channels) if about["lifelike.kind"] == ENCODER else Decoder(channels, skips)
    network.load_state_dict({k: v.float() for k, v in load_file(path).items()})
    return network.eval().requires_grad_(False)
