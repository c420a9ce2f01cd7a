"""What a file of this extension is, by its header alone: called for the list of models, in the web process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KIND_KEY, FAMILY_KEY, CONFIG_KEY = "lifelike.kind", "lifelike.family", "lifelike.config"
"""In the metadata of our own safetensors."""
GAN_FAMILIES = ("dcgan", "stylegan1", "stylegan2", "stylegan3", "biggan", "biggan_deep", "vae")
CODE_FAMILIES = ("vqgan", "vqvae")
TITLES: Mapping[str, str] = {
    "dcgan": "DCGAN",
    "stylegan1": "StyleGAN",
    "stylegan2": "StyleGAN2",
    "stylegan2_rosinality": "StyleGAN2",
    "stylegan3": "StyleGAN3",
    "biggan": "BigGAN",
    "biggan_deep": "BigGAN-deep",
    "vae": "VAE",
    "vqgan": "VQGAN",
    "vqvae": "VQ-VAE",
    "taming": "VQGAN",
    "taming_prior": "VQGAN",
}
_HEADER_LIMIT_BYTES = 16 * 2**20


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where it has none or is no such file."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= _HEADER_LIMIT_BYTES:
                return {}
            table = json.loads(stream.read(length))
    except (OSError, ValueError, RecursionError):
        return {}
    found = table.get("__metadata__") if isinstance(table, dict) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def declared(path: Path) -> tuple[str, dict[str, Any]] | None:
    """(family, configuration) that our own file states: in its metadata, or in a config.json beside it."""
    if path.suffix.lower() != ".safetensors":
        return None
    found = metadata(path)
    try:
        if CONFIG_KEY in found:
            family, config = found.get(FAMILY_KEY, ""), json.loads(found[CONFIG_KEY])
        else:
            about = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
            family, config = about["architecture"], about["config"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    known = family in GAN_FAMILIES or family in CODE_FAMILIES
    return (family, config) if known and isinstance(config, dict) else None


def recognise_gan(path: Path) -> Mapping[str, Any] | None:
    """Facts of a generator's file."""
    return _facts(path, GAN_FAMILIES)


def recognise_codes(path: Path) -> Mapping[str, Any] | None:
    """Facts of a file of an autoencoder of codes."""
    return _facts(path, CODE_FAMILIES)


def _facts(path: Path, families: tuple[str, ...]) -> Mapping[str, Any] | None:
    found = declared(path)
    if found is None or found[0] not in families:
        return None
    family, config = found
    facts: dict[str, Any] = {"family": family}
    if config.get("title"):
        facts["title"] = str(config["title"])[:200]
    return facts
