"""From a finished picture, its recipe and its infotext to the bytes of a PNG, JPEG or WebP; ``chunks`` reads them back.

Where things are kept
- PNG: text chunks ``lifelike`` (iTXt, the recipe), ``parameters`` (tEXt where it is ASCII, else iTXt) and ``Title``.
- JPEG and WebP: EXIF UserComment (0x9286: ``UNICODE`` and UTF-16, big endian) for the infotext, EXIF MakerNote
  (0x927C: ``lifelike``, NUL, UTF-8) for the recipe, EXIF ImageDescription (0x010E) for the title. A JPEG's EXIF ends
  at 64 KiB: a larger recipe goes into APP10 segments of its own (``lifelike``, NUL, part, parts, UTF-8), and an
  infotext that still does not fit is left out, for the recipe says the same.

The same pixels and texts give the same bytes: no time is written and every setting of the encoders is fixed here.
"""

from __future__ import annotations

from typing import IO, Literal

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .pixels import for_file

ImageFormat = Literal["png", "jpeg", "webp"]

SUFFIX: dict[ImageFormat, str] = {"png": "png", "jpeg": "jpg", "webp": "webp"}

PNG_COMPRESS_LEVEL = 1
"""A 1024 x 1024 picture takes 0.11 s and 2.07 MB; levels 4 to 9 take twice the time for 12% fewer bytes."""

RECIPE_KEY = "lifelike"
MAKER_PREFIX = b"lifelike\0"
SEGMENT_MARKER = 0xEA
"""APP10 of JPEG."""

TAG_DESCRIPTION, TAG_EXIF, TAG_MAKER_NOTE, TAG_USER_COMMENT = 0x010E, 0x8769, 0x927C, 0x9286
_MAX_SEGMENT = 65_533
"""Bytes that a JPEG segment holds beside its marker and its length."""


def write_image(
    target: IO[bytes],
    image: Image.Image,
    image_format: ImageFormat,
    *,
    quality: int = 95,
    recipe: str = "",
    infotext: str = "",
    title: str = "",
) -> tuple[int, int]:
    """Write ``image`` with its texts; the answer is (width, height) in px. ``quality`` is of JPEG and WebP; WebP at
    100 is lossless.
    """
    clean = for_file(image, image_format)
    if image_format == "png":
        _write_png(target, clean, recipe, infotext, title)
    elif image_format == "jpeg":
        _write_jpeg(target, clean, quality, recipe, infotext, title)
    else:
        exif = exif_bytes(recipe, infotext, title)
        clean.save(target, "WEBP", quality=quality, lossless=quality == 100, method=4, exif=exif)
    return clean.size


def _write_png(target: IO[bytes], image: Image.Image, recipe: str, infotext: str, title: str) -> None:
    chunks = PngInfo()
    if infotext:
        add = chunks.add_text if infotext.isascii() else chunks.add_itxt
        add("parameters", infotext)
    if recipe:
        chunks.add_itxt(RECIPE_KEY, recipe)
    if title:
        chunks.add_itxt("Title", title)
    image.save(target, "PNG", pnginfo=chunks, compress_level=PNG_COMPRESS_LEVEL)


def _write_jpeg(target: IO[bytes], image: Image.Image, quality: int, recipe: str, infotext: str, title: str) -> None:
    exif, segments = exif_bytes(recipe, infotext, title), b""
    if len(exif) > _MAX_SEGMENT:
        exif, segments = exif_bytes("", infotext, title), recipe_segments(recipe)
    if len(exif) > _MAX_SEGMENT:
        exif = exif_bytes("", "", title[:1000])
    sampling = 0 if quality >= 90 else 2  # 4:4:4 where fine colour is wanted, else 4:2:0
    image.save(target, "JPEG", quality=quality, subsampling=sampling, optimize=False, exif=exif, extra=segments)


def exif_bytes(recipe: str, infotext: str, title: str) -> bytes:
    """An EXIF block with what is given; empty where nothing is."""
    exif = Image.Exif()
    details = exif.get_ifd(TAG_EXIF)
    if recipe:
        details[TAG_MAKER_NOTE] = MAKER_PREFIX + recipe.encode("utf-8")
    if infotext:
        details[TAG_USER_COMMENT] = b"UNICODE\0" + infotext.encode("utf-16-be")
    if title:
        exif[TAG_DESCRIPTION] = title.encode("utf-8")
    return bytes(exif.tobytes()) if recipe or infotext or title else b""


def recipe_segments(recipe: str) -> bytes:
    """APP10 segments that hold a recipe of any length up to 16 MB. Raises ValueError for a longer one."""
    data = recipe.encode("utf-8")
    size = _MAX_SEGMENT - len(MAKER_PREFIX) - 2
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    if len(parts) > 255:
        raise ValueError(
            f"a recipe of {len(data):,} bytes does not fit into a JPEG: expected at most {255 * size:,}; choose PNG"
        )
    out = b""
    for number, part in enumerate(parts, start=1):
        body = MAKER_PREFIX + bytes((number, len(parts))) + part
        out += bytes((0xFF, SEGMENT_MARKER)) + (len(body) + 2).to_bytes(2, "big") + body
    return out
