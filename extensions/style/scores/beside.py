"""Beside a result: its distances and those of what costs nothing, the picture itself and the picture recoloured."""

from __future__ import annotations

from collections.abc import Mapping

from extensions.style.colour.transfer import Transfer, transferred
from extensions.style.networks.encoder import Encoder
from extensions.style.pictures.preparing import Ready, to_tensor
from extensions.style.pictures.reading import Floats, at_side, floats, to_picture

from .distances import Distances, distances

_MEASURED_PX = 256
"""Longer side of what is compared: distances of large pictures cost as much as making them."""


def measured(encoder: Encoder, ready: Ready, made: Floats) -> dict[str, Distances]:
    """Of the result, the picture as it was, and the picture with the references' colours alone (Reinhard)."""
    colours = transferred(ready.content, ready.plain, Transfer(), weights=ready.shares)
    device = encoder.mean.device
    small = {
        name: to_tensor(floats(at_side(to_picture(one), _MEASURED_PX))).to(device)
        for name, one in (("result", made), ("picture itself", ready.content), ("colours alone", colours))
    }
    references = [to_tensor(one).to(device) for one in ready.plain]
    return {
        name: distances(encoder, one, small["picture itself"], references, ready.shares) for name, one in small.items()
    }


def as_infotext(found: Mapping[str, Distances], title: str) -> dict[str, str]:
    """For the text beside a picture: lower is nearer."""
    result, itself, colours = (found[name] for name in ("result", "picture itself", "colours alone"))
    return {
        "Style distance": f"{result.style:.3f} (picture itself {itself.style:.3f}, colours alone {colours.style:.3f})",
        "Content distance": f"{result.content:.3f} (colours alone {colours.content:.3f})",
        "Distances by": title,
    }
