"""Pictures side by side, with labels: from a matrix of pictures to one."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

_GROUND, _INK = (255, 255, 255), (38, 38, 42)
_MOST_EDGE_PX = 16_000


def matrix(
    rows: Sequence[Sequence[Image.Image | None]],
    *,
    columns_named: Sequence[str] = (),
    rows_named: Sequence[str] = (),
    margin: int = 4,
) -> Image.Image:
    """All cells have the size of the largest picture, smaller where the whole would have an edge above 16,000 px."""
    pictures = [cell for row in rows for cell in row if cell is not None]
    width, height = max(p.width for p in pictures), max(p.height for p in pictures)
    count = max(len(row) for row in rows)
    scale = min(
        1.0, _MOST_EDGE_PX / (count * (width + margin) + 400), _MOST_EDGE_PX / (len(rows) * (height + margin) + 100)
    )
    width, height = max(1, int(width * scale)), max(1, int(height * scale))
    font = ImageFont.load_default(max(11, min(width, height) // 14))
    line = int(1.6 * sum(font.getmetrics()) / 1.2)
    left = max((int(font.getlength(name)) for name in rows_named), default=0)
    left, top = left + 2 * margin if rows_named else 0, line if columns_named else 0
    size = (left + count * (width + margin) - margin, top + len(rows) * (height + margin) - margin)
    sheet = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(sheet)
    for column, name in enumerate(columns_named):
        at = (left + column * (width + margin) + width / 2, top / 2)
        draw.text(at, _fitting(name, font, width), fill=_INK, font=font, anchor="mm")
    for place, row in enumerate(rows):
        y = top + place * (height + margin)
        if rows_named:
            draw.text((margin, y + height / 2), rows_named[place], fill=_INK, font=font, anchor="lm")
        for column, cell in enumerate(row):
            if cell is not None:
                shown = cell if cell.size == (width, height) else cell.resize((width, height), Image.Resampling.LANCZOS)
                sheet.paste(shown, (left + column * (width + margin), y))
    return sheet


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    while len(text) > 4 and font.getlength(text) > width:
        text = text[:-4] + "..."
    return text
