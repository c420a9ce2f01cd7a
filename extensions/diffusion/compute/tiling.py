"""A VAE in tiles: how large they are, and that a VAE which other jobs share is left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_MOST_PX = 512
"""Of a tile's side. SDXL's VAE says 1024, at which the usual picture is a single tile."""


def enable(vae: Any) -> None:
    """Have ``vae`` code in tiles of at most 512 px from now on."""
    vae.enable_tiling()
    for name, value in _smaller(vae).items():
        setattr(vae, name, value)


@contextmanager
def enabled(vae: Any) -> Iterator[None]:
    """Within, ``vae`` codes in tiles."""
    before = {name: getattr(vae, name) for name in _smaller(vae)}
    enable(vae)
    try:
        yield
    finally:
        vae.disable_tiling()
        for name, value in before.items():
            setattr(vae, name, value)


def _smaller(vae: Any) -> dict[str, int]:
    """The attributes of tile sizes that have to change, and to what: samples and latents in proportion."""
    sizes = {name: value for name, value in vars(vae).items() if name.startswith("tile_") and isinstance(value, int)}
    largest = max((value for name, value in sizes.items() if name.startswith("tile_sample_min")), default=0)
    if largest <= _MOST_PX:
        return {}
    return {name: value * _MOST_PX // largest for name, value in sizes.items()}
