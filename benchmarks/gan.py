"""Pictures a second of each family of GANs, VAEs and VQGANs at batch 1 and 16, with random weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from _sd15 import options, tell
from torch import nn

from extensions.gan.formats.loading import Loaded
from extensions.gan.latents.generator import Generator, Held, seeded
from extensions.gan.networks.registry import PRESETS, build

PUBLISHED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dcgan-64": ("dcgan", {"resolution": 64}),
    "stylegan1-256": ("stylegan1", {"resolution": 256}),
    "stylegan2-256": ("stylegan2", {"resolution": 256, "channel_base": 16384}),
    "stylegan3t-256": ("stylegan3", {"resolution": 256, "channel_base": 16384}),
    "stylegan3r-256": (
        "stylegan3",
        {"resolution": 256, "channel_base": 32768, "channel_max": 1024, "kernel": 1, "radial": True},
    ),
    "biggan-128": ("biggan", {"resolution": 128}),
    "biggan-deep-128": ("biggan_deep", {}),
    "vqgan-256": ("vqgan", {}),
}
BATCHES = (1, 16)


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--small", action="store_true", help="the small sizes that are trained at home instead")
    parser.add_argument("--only", default="", help="families whose names begin so")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each is measured at least")
    arguments = parser.parse_args()
    table = PRESETS if arguments.small else PUBLISHED
    rows = {name: measured(*row, arguments.seconds) for name, row in table.items() if name.startswith(arguments.only)}
    tell("gan", {"families": rows}, arguments.out)


def measured(family: str, config: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Parameters, and pictures a second by batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.device("meta"):  # the paper's orthogonal initialization would take longer than the measurement
        network = build(family, config)
    network = network.to_empty(device=device).eval().requires_grad_(False)
    randomize(network)
    if device.type == "cuda" and family in ("stylegan2", "stylegan3"):
        network.synthesis.use_half()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    speed = {str(batch): round(rate(step_of(network, family, config, batch), batch, seconds), 3) for batch in BATCHES}
    return {"parameters": parameters, "resolution": network.resolution, "images_per_second": speed}


def randomize(network: nn.Module) -> None:
    """Weights of unit variance for the equalized layers, narrow for the others: speed does not depend on them, but
    numbers that leave the range might take another path.
    """
    generator = torch.Generator().manual_seed(0)
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        if name.endswith(("filter", "blur")):
            tensor.fill_(1 / tensor.numel())
        elif name.endswith(("running_var", "running_vars", "magnitude_ema", "transform")):
            tensor.fill_(1.0)
        elif tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.02)


def step_of(network: nn.Module, family: str, config: Mapping[str, Any], batch: int) -> Callable[[], Any]:
    """One batch of pictures; of a VQGAN, the decoding of random codes."""
    if family in ("vqgan", "vqvae"):
        device = next(network.parameters()).device
        codes = torch.randint(network.autoencoder.codes, (batch, network.side, network.side), device=device)
        return lambda: network.autoencoder.decode(codes)
    generator = Generator(Held(Loaded(network, family, config)))
    z = generator.draw(batch, seeded(0))
    condition = generator.condition([0] * batch, [0] * batch)
    return lambda: generator.pictures(generator.points(z, condition, 0.7), condition, psi=0.7)


@torch.no_grad()
def rate(step: Callable[[], Any], batch: int, seconds: float) -> float:
    """Pictures a second after one batch that does not count."""
    step()
    synchronize()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        step()
        synchronize()
        done += batch
    return done / (time.perf_counter() - began)


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
