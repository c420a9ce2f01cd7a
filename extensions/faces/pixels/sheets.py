"""Several pictures on one sheet, with words over them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_LEAST_PX, _MOST_PX, _GAP = 192, 512, 6


def row_of(pictures: Sequence[Image.Image], words: Sequence[str]) -> Image.Image:
    """Pictures side by side, all as high as the first."""
    return matrix([list(pictures)], words, [])


def matrix(
    rows: Sequence[Sequence[Image.Image]], columns_named: Sequence[str], rows_named: Sequence[str]
) -> Image.Image:
    """Pictures in rows and columns, each cell as large as the first picture within 192 to 512 pixels."""
    first = rows[0][0]
    longest = max(first.size)
    edge = min(max(longest, _LEAST_PX), _MOST_PX)
    width, height = (max(1, round(v * edge / longest)) for v in first.size)
    font = ImageFont.load_default(max(11, edge // 18))
    above = font.size + 2 * _GAP if columns_named else 0
    left = round(max((font.getlength(word) for word in rows_named), default=-2 * _GAP)) + 2 * _GAP
    count = max(len(row) for row in rows)
    sheet = Image.new(
        "RGB", (left + count * (width + _GAP) - _GAP, above + len(rows) * (height + _GAP) - _GAP), "white"
    )
    draw = ImageDraw.Draw(sheet)
    for column, word in enumerate(columns_named):
        draw.text((left + column * (width + _GAP) + _GAP, _GAP), word, fill="black", font=font)
    for place, row in enumerate(rows):
        top = above + place * (height + _GAP)
        if rows_named:
            draw.text((_GAP, top + height // 2 - font.size // 2), rows_named[place], fill="black", font=font)
        for column, picture in enumerate(row):
            fitted = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            sheet.paste(fitted, (left + column * (width + _GAP), top))
    return sheet
