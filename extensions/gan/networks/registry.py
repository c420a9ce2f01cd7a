"""From an architecture's name and a configuration to a network, and the small sizes that are trained at home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from .biggan import BigGANGenerator
from .biggan_deep import BigGANDeepGenerator
from .code_model import CodeModel, Conditioning
from .dcgan import DCGANGenerator
from .prior import Prior
from .stylegan1 import StyleGAN1Generator
from .stylegan2 import StyleGAN2Generator
from .stylegan3 import StyleGAN3Generator
from .vae import VAE
from .vqgan import VQGAN
from .vqvae import VQVAE

GENERATORS: Mapping[str, type[nn.Module]] = {
    "dcgan": DCGANGenerator,
    "stylegan1": StyleGAN1Generator,
    "stylegan2": StyleGAN2Generator,
    "stylegan3": StyleGAN3Generator,
    "biggan": BigGANGenerator,
    "biggan_deep": BigGANDeepGenerator,
    "vae": VAE,
}
AUTOENCODERS: Mapping[str, type[nn.Module]] = {"vqgan": VQGAN, "vqvae": VQVAE}

PRESETS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dcgan-64": ("dcgan", {"resolution": 64, "width": 24}),
    "stylegan1-64": (
        "stylegan1",
        {"resolution": 64, "z_dim": 128, "w_dim": 128, "channel_base": 2048, "channel_max": 96},
    ),
    "stylegan2-64": (
        "stylegan2",
        {"resolution": 64, "z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 2048, "channel_max": 96},
    ),
    "stylegan2-128": (
        "stylegan2",
        {"resolution": 128, "z_dim": 128, "w_dim": 128, "mapping_layers": 4, "channel_base": 4096, "channel_max": 96},
    ),
    "stylegan3-64": (
        "stylegan3",
        {"resolution": 64, "z_dim": 128, "w_dim": 128, "channel_base": 2048, "channel_max": 64},
    ),
    "biggan-64": (
        "biggan",
        {"resolution": 64, "width": 10, "z_dim": 40, "classes": 10, "shared_dim": 32, "attention": 32},
    ),
    "vae-64": ("vae", {"resolution": 64, "z_dim": 64, "channel_base": 1024, "channel_max": 64}),
    "vqvae-64": ("vqvae", {"resolution": 64, "width": 64, "codes": 256, "code_dim": 32}),
    "vqgan-64": (
        "vqgan",
        {
            "autoencoder": {
                "resolution": 64,
                "widths": [16, 32, 64, 64],
                "layers": 1,
                "latent_channels": 16,
                "codes": 256,
                "code_dim": 16,
                "groups": 8,
            },
            "prior": {"width": 128, "blocks": 4, "heads": 4},
            "conditioning": {"kind": "class", "classes": 10},
        },
    ),
}
"""Each has well below 2 M parameters, so that several fit in a project as 16-bit weights."""

NOTES = frozenset({"title", "labels"})
"""What a configuration may say beside the network's own parameters: a name, and the names of its classes."""


def build(family: str, config: Mapping[str, Any]) -> nn.Module:
    """The network, with random weights. Raises KeyError for an unknown family, TypeError and ValueError for a
    configuration that is none of it.
    """
    own = {key: value for key, value in config.items() if key not in NOTES}
    if family in AUTOENCODERS:
        return _code_model(family, own)
    return GENERATORS[family](**own)


def _code_model(family: str, config: Mapping[str, Any]) -> CodeModel:
    """``autoencoder`` [, ``prior``, ``conditioning``], or the parameters of the autoencoder alone."""
    nested = "autoencoder" in config
    autoencoder = AUTOENCODERS[family](**(config["autoencoder"] if nested else config))
    said = config.get("conditioning") or {} if nested else {}
    conditioning = Conditioning(**{"offset": autoencoder.codes, **said})
    prior_config = config.get("prior") if nested else None
    prior = None
    if prior_config is not None:
        vocabulary = max(autoencoder.codes, conditioning.offset + conditioning.tokens)
        length = conditioning.length + autoencoder.side**2 - 1
        prior = Prior(**{"vocabulary": vocabulary, "length": length, **prior_config})
    return CodeModel(autoencoder, prior, conditioning)
