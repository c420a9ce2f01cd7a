"""Where pictures of a request come in: opened, made plain RGB, fitted to the size to draw. PIL alone, no model.

Format, orientation, colour modes, depth and the limit of pixels are judged by the host (``Context.open_image``); what
is left is said here: transparency, animation, and how one size becomes another.
"""

from __future__ import annotations

from PIL import Image, ImageOps

from webui.api import Context

GROUND = (255, 255, 255)
"""What shows through transparent places."""

_FILTER = Image.Resampling.LANCZOS


def open_picture(context: Context, ref: str) -> Image.Image:
    """The picture behind ``ref``, RGB or RGBA, upright. Only the first frame of an animation, which is said. Raises
    ParameterError, NotFound.
    """
    picture = context.open_image(ref)
    frames = frame_count(context, ref)
    if frames > 1:
        context.warn(f"The picture is an animation of {frames} frames; its first one is used.")
    return picture


def frame_count(context: Context, ref: str) -> int:
    """How many frames the file behind ``ref`` has; read from its structure, nothing is decoded."""
    try:
        with Image.open(context.open_file(ref)) as image:
            return int(getattr(image, "n_frames", 1))
    except Exception:  # a damaged tail may make any decoder raise anything; the first frame is good
        return 1


def alpha_of(picture: Image.Image) -> Image.Image | None:
    """The transparency of ``picture``, mode L; None where every pixel is opaque."""
    if picture.mode != "RGBA":
        return None
    alpha = picture.getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def on_ground(picture: Image.Image) -> Image.Image:
    """``picture`` as RGB, its transparent places on white."""
    if alpha_of(picture) is None:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, (*GROUND, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")


def fitted(picture: Image.Image, size: tuple[int, int], mode: str, *, smooth: bool = True) -> Image.Image:
    """``picture`` at ``size``. The same object where it has that size already: not a pixel is touched. ``mode`` is
    ``stretch``, ``crop`` or ``fill`` (whole, between drawn-out edges).

    ``smooth`` is off for masks: their values are kept.
    """
    if picture.size == size:
        return picture
    how = _FILTER if smooth else Image.Resampling.NEAREST
    if mode == "crop":
        return ImageOps.fit(picture, size, how)
    if mode == "fill":
        return _between_edges(picture, size, how, smooth=smooth)
    return picture.resize(size, how)


def _between_edges(picture: Image.Image, size: tuple[int, int], how: Image.Resampling, *, smooth: bool) -> Image.Image:
    """All of ``picture`` in the middle of ``size``; its edges are drawn out to the rest."""
    whole = ImageOps.contain(picture, size, how)
    left, top = (size[0] - whole.width) // 2, (size[1] - whole.height) // 2
    if not smooth:
        ground = Image.new(picture.mode, size)
        ground.paste(whole, (left, top))
        return ground
    return extended(whole, left, top, size[0] - whole.width - left, size[1] - whole.height - top)


def extended(picture: Image.Image, left: int, top: int, right: int, bottom: int) -> Image.Image:
    """``picture`` with that many more pixels at each side, which repeat its outermost ones."""
    if not any((left, top, right, bottom)):
        return picture
    width, height = picture.size
    result = Image.new(picture.mode, (left + width + right, top + height + bottom))
    result.paste(picture, (left, top))
    rows = result.crop((left, top, left + width, top + height))
    for box, strip, place, shape in (
        (top, (0, 0, width, 1), (left, 0), (width, top)),
        (bottom, (0, height - 1, width, height), (left, top + height), (width, bottom)),
    ):
        if box:
            result.paste(rows.crop(strip).resize(shape, Image.Resampling.NEAREST), place)
    full = result.height
    if left:
        result.paste(result.crop((left, 0, left + 1, full)).resize((left, full), Image.Resampling.NEAREST), (0, 0))
    if right:
        edge = left + width
        strip_image = result.crop((edge - 1, 0, edge, full))
        result.paste(strip_image.resize((right, full), Image.Resampling.NEAREST), (edge, 0))
    return result


def within(size: tuple[int, int], area: int) -> tuple[int, int]:
    """``size``, made smaller in its own ratio where it has more than ``area`` pixels."""
    width, height = size
    if width * height <= area:
        return size
    scale = (area / (width * height)) ** 0.5
    return max(1, int(width * scale)), max(1, int(height * scale))
