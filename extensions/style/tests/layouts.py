"""Small random networks in the files that this extension reads."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from extensions.style.networks.encoder import Decoder, Encoder, Plan

SKIPS = (11, 6)
CHANNELS = (4, 4, "A", 6, 6, "A", 8, 8, "A", 10)
PLAN = Plan("small", CHANNELS, (1, 6, 11, 16), 16, (0.5,) * 3, (0.5,) * 3)


def small(seed: int = 0) -> tuple[Encoder, Decoder]:
    """An encoder and its mirror, random, whose activations neither fade nor grow."""
    torch.manual_seed(seed)
    encoder, decoder = Encoder(PLAN), Decoder(CHANNELS, SKIPS)
    for layer in (*encoder.modules(), *decoder.modules()):
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                torch.nn.init.normal_(layer.bias, std=0.1)
    return encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False)


def write(folder: Path) -> None:
    """``folder``/style with both, as the starter's training writes them."""
    (folder / "style").mkdir(parents=True)
    for network, kind in zip(small(), ("style_encoder", "style_decoder"), strict=True):
        config = {"channels": CHANNELS, "taps": PLAN.taps, "skips": SKIPS, "mean": 0.5, "std": 0.5}
        save_file(
            {name: tensor.half() for name, tensor in network.state_dict().items()},
            folder / "style" / f"{kind}.safetensors",
            metadata={"lifelike.kind": kind, "lifelike.config": json.dumps(config)},
        )
