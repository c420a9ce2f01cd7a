"""What was found, drawn over the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from extensions.faces.finding.face import Face
from extensions.faces.vocabulary import COLOURS, PARTS

_LEAST_SIDE_PX = 512
_BOX, _SEEN, _GUESSED = (40, 230, 90), (255, 40, 200), (255, 200, 40)


def overlay(picture: Image.Image, faces: Sequence[Face], numbers: Sequence[int] | None = None) -> Image.Image:
    """RGB: parts half transparent, boxes with numbers, landmarks; small pictures are enlarged."""
    zoom = max(1, -(-_LEAST_SIDE_PX // max(picture.size)))
    pixels = np.asarray(picture, np.float32).copy()
    table = np.array([COLOURS[name] for name in PARTS], np.float32)
    for face in faces:
        if face.parts is not None:
            shown = face.parts > 0
            pixels[shown] = 0.5 * pixels[shown] + 0.5 * table[face.parts[shown]]
    canvas = Image.fromarray(pixels.round().astype(np.uint8))
    canvas = canvas.resize((canvas.width * zoom, canvas.height * zoom), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    line = max(1, max(canvas.size) // 300)
    for place, face in enumerate(faces):
        draw.rectangle([v * zoom for v in face.box], outline=_BOX, width=line)
        number = numbers[place] if numbers is not None else place + 1
        draw.text((face.box[0] * zoom + 2 * line, face.box[1] * zoom + line), str(number), fill=_BOX)
        r = max(1.5, face.height * zoom / 70)
        for name, (x, y) in face.landmarks.items():
            colour = _GUESSED if name in face.estimated else _SEEN
            draw.ellipse((x * zoom - r, y * zoom - r, x * zoom + r, y * zoom + r), fill=colour)
    return canvas
