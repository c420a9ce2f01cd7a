"""A visible label: a few words in the lower right corner, on a ground that keeps them readable."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

_SHARE = 0.04
"""Of the shorter side: the height of the letters."""


def labelled(picture: Image.Image, words: str) -> Image.Image:
    """The picture, in its own mode, with ``words``; one line, cut at what the width holds."""
    layer = picture.convert("RGBA")
    size = max(8, round(min(picture.size) * _SHARE))
    font = ImageFont.load_default(size)
    pen = ImageDraw.Draw(layer)
    gap = max(2, size // 3)
    words = " ".join(words.split())
    while words and pen.textlength(words, font=font) > picture.width - 4 * gap:
        words = words[:-1]
    if not words:
        return picture
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    width, height = right - left + 2 * gap, bottom - top + 2 * gap
    tag = Image.new("RGBA", (round(width), round(height)), (0, 0, 0, 150))
    ImageDraw.Draw(tag).text((gap - left, gap - top), words, font=font, fill=(255, 255, 255, 255))
    layer.alpha_composite(tag, (picture.width - tag.width - gap, picture.height - tag.height - gap))
    return layer if picture.mode == "RGBA" else layer.convert(picture.mode)
