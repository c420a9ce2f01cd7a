"""Pictures at the edges of the library: sizes read from headers before anything is decoded, and modes brought to those
a file or pipeline takes.
"""

from __future__ import annotations

from typing import IO

from PIL import Image, ImageOps

MAX_PIXELS = 64_000_000
"""Pictures of more pixels are not decoded, unless the caller says otherwise."""

_KEPT_BY_PNG = frozenset({"1", "L", "LA", "RGB", "RGBA", "I;16"})


class Unreadable(ValueError):
    """Bytes that are no picture, or one that must not be decoded; the message completes "this picture ..."."""


def open_header(source: IO[bytes], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in ``source`` with only its header read. Raises Unreadable, also for more pixels than
    ``max_pixels``.
    """
    try:
        image = Image.open(source)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))  # Pillow refuses by itself from there on
        raise Unreadable(f"has far more than the {limit:,} pixels allowed") from None
    except Exception as error:  # a decoder may raise anything at all on bytes made to break it
        raise Unreadable(f"is not one that can be read ({_shortened(error)})") from None
    width, height = image.size
    if width * height > max_pixels:
        raise Unreadable(f"has {width} x {height} pixels, more than the {max_pixels:,} allowed")
    if width < 1 or height < 1:
        raise Unreadable("has no pixels")
    return image


def decode(image: Image.Image) -> Image.Image:
    """The first frame of an opened picture, upright, as RGB or RGBA. Raises Unreadable where its data are damaged or
    cut short.
    """
    try:
        image.seek(0)
        image.load()
        return to_rgb(_upright(image))
    except Unreadable:
        raise
    except Exception as error:  # as in open_header
        raise Unreadable(f"is damaged or cut short ({_shortened(error)})") from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data may make their parser raise anything; the pixels are good
        return image


def _shortened(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."


def to_rgb(image: Image.Image) -> Image.Image:
    """``image`` in mode RGB, or RGBA where it can be transparent. Deeper samples are scaled to 8 bits, not cut off."""
    if image.mode in ("RGB", "RGBA") and "transparency" not in image.info:
        return image
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")
        return image.convert("RGBA")
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """L from 16 bit, 32 bit and real samples: 0..65535 where anything is above 255, real samples within 0..1 as such,
    else 0..255.
    """
    wide = image.convert("F")
    _lowest, highest = wide.getextrema()
    top = float(highest) if isinstance(highest, (int, float)) else 0.0
    if image.mode.startswith("I;16"):
        scale = 1 / 257
    elif image.mode == "F" and top <= 1.0:
        scale = 255.0
    else:
        scale = 1 / 257 if top > 255 else 1.0
    return wide.point(lambda sample: sample * scale + 0.5).convert("L")


def for_file(image: Image.Image, image_format: str) -> Image.Image:
    """A copy of ``image`` that ``image_format`` (png, jpeg, webp) can hold, without any of the metadata it came with.

    JPEG has no transparency: it is put on white.
    """
    clean = image.copy()
    if image_format != "png" or clean.mode not in _KEPT_BY_PNG or "transparency" in clean.info:
        clean = to_rgb(clean)
    if image_format == "jpeg" and clean.mode == "RGBA":
        ground = Image.new("RGBA", clean.size, "white")
        clean = Image.alpha_composite(ground, clean).convert("RGB")
    clean.info = {}
    return clean
