"""Upscalers as A1111's clients name them: none, interpolations, networks of the catalog, ways to enlarge latents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from PIL import Image

from webui.catalog.entry import ModelEntry
from webui.web.services import Services

KIND = "upscaler"
INTERPOLATIONS: Mapping[str, Image.Resampling | None] = {
    "None": None,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
"""Clients expect the first to be ``None``."""
LATENT_ALIASES = {
    "latent (nearest)": "latent (nearest-exact)",
    "latent (bicubic antialiased)": "latent (antialiased)",
    "none": "lanczos",
    "nearest": "latent (nearest-exact)",
}
"""Ways of theirs for which the nearest of ours stands."""


def stem_of(entry: ModelEntry) -> str:
    """A model's name without folder and ending."""
    name = PurePosixPath(entry.ref).name
    return (name.rpartition(".")[0] or name) if entry.format == "single_file" else name


def networks(services: Services, kind: str = KIND) -> dict[str, str]:
    """Names of the networks that can be used, with their references."""
    return {stem_of(entry): entry.ref for entry in services.catalog.entries(kind) if entry.usable}
