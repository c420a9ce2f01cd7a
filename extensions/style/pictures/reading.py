"""Where pictures of a request come in: the content, its mask and its references, and the way back to a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from webui.api import Artifact, Context, FieldError, ParameterError

Floats = NDArray[np.float64]

READY_PX = 256
"""Side of a reference that is drawn on the spot."""
_GROUND = (255, 255, 255)
"""What shows through transparent places of a reference."""


def rgb_of(picture: Image.Image) -> Image.Image:
    """``picture`` as RGB, its transparent places on white."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")


def floats(picture: Image.Image) -> Floats:
    """RGB or L -> float64 [H,W,3] or [H,W] in 0..1."""
    return np.asarray(picture, dtype=np.float64) / 255


def to_picture(values: Floats) -> Image.Image:
    """Numbers [H,W,3] in 0..1 -> RGB."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).round().astype(np.uint8))


def with_alpha_of(picture: Image.Image, original: Image.Image) -> Image.Image:
    """``picture`` as transparent as ``original``, which has its size."""
    if original.mode != "RGBA" or original.getchannel("A").getextrema() == (255, 255):
        return picture
    result = picture.convert("RGBA")
    result.putalpha(original.getchannel("A"))
    return result


def mask_of(context: Context, ref: str | None, size: tuple[int, int]) -> Floats | None:
    """The mask behind ``ref`` at ``size``, [H,W] in 0..1; None without one. Raises ParameterError, NotFound."""
    if not ref:
        return None
    mask = context.open_image(ref)
    if mask.mode == "RGBA":  # painted over a transparent ground
        mask = Image.alpha_composite(Image.new("RGBA", mask.size, (0, 0, 0, 255)), mask)
    return floats(mask.convert("L").resize(size, Image.Resampling.BILINEAR))


def references_of(context: Context, refs: Sequence[str], ready: str = "", seed: int = 0) -> list[Image.Image]:
    """The references, RGB; where there is none, the ``ready`` one, drawn with ``seed``. Raises ParameterError where
    neither is there, NotFound.
    """
    if refs:
        return [rgb_of(context.open_image(ref)) for ref in refs]
    pipeline, asked = drawing_of(ready, seed)
    if not ready or pipeline not in context.pipelines:
        raise ParameterError(
            [FieldError("references", "expected at least one picture whose style to take")],
            hint="Put a picture into References.",
        )
    taken: list[Artifact] = []
    context.run(pipeline, asked, take=taken.append)
    return [rgb_of(taken[0].data)]


def drawing_of(ready: str, seed: int) -> tuple[str, dict[str, Any]]:
    """The pipeline that draws a ready reference, and what it is asked for."""
    drawn = ready.startswith("drawn ")
    what = {"style": ready.removeprefix("drawn ")} if drawn else {"family": ready}
    return "starter.draw" if drawn else "starter.textures", {
        **what,
        "samples": 1,
        "width": READY_PX,
        "seed": max(0, seed),
    }


def at_side(picture: Image.Image, side: int) -> Image.Image:
    """``picture`` with ``side`` pixels at its longer side; 0: as it is."""
    longer = max(picture.size)
    if not side or side == longer:
        return picture
    width, height = (max(8, round(edge * side / longer)) for edge in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)
