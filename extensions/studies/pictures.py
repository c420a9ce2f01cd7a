"""Below ``create``: pictures as raters see them. All have one size and one format, and say nothing of where they are
from.
"""

from __future__ import annotations

import io
import os
import random
import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from webui.api import LifelikeError

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"})
MAX_PIXELS = 100_000_000
LONGEST_PX = 1024
"""Of a picture whose size nobody asked for."""
_SAME_SHAPE = 0.01
_PIECES = 8
_JPEG_QUALITY = 90


class UnreadablePicture(LifelikeError):
    """A file is no picture that can be shown."""


def in_folder(folder: Path) -> list[Path]:
    """Picture files of ``folder`` and of those below it, by name; links lead nowhere."""
    found = []
    for base, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(base) / name
            if path.suffix.lower() in ENDINGS and not name.startswith(".") and not path.is_symlink():
                found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def open_file(path: Path) -> Image.Image:
    """A picture file as RGB, upright. Raises UnreadablePicture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise UnreadablePicture(f"{path.name} has more than {MAX_PIXELS // 1_000_000} megapixels.")
                return plain(ImageOps.exif_transpose(image))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadablePicture(f"{path.name} cannot be read: {error}.") from None


def plain(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        ground = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(ground, rgba).convert("RGB")
    return image.convert("RGB")


def common_size(sizes: Sequence[tuple[int, int]], longest: int = 0) -> tuple[int, int]:
    """The size that all pictures get: of the smallest one, so that none is enlarged, in the shape that all have, else
    square. ``longest``: of its longest edge, where asked for.
    """
    shapes = [width / height for width, height in sizes]
    same = max(shapes) / min(shapes) - 1 <= _SAME_SHAPE
    width, height = min(sizes) if same else (min(min(size) for size in sizes),) * 2
    scale = (longest or min(LONGEST_PX, max(width, height))) / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def fit(image: Image.Image, size: tuple[int, int], *, jpeg: bool = False) -> Image.Image:
    """RGB of ``size``: the middle of ``image`` in its shape, resized by Lanczos; the very pixels where it has the size.
    ``jpeg``: through one JPEG compression, quality 90.
    """
    fitted = image if image.size == size else ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if jpeg:
        data = io.BytesIO()
        fitted.save(data, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
        fitted = Image.open(data).convert("RGB")
    return fitted


def scramble(image: Image.Image, draw: random.Random) -> Image.Image:
    """The same pixels in 8 x 8 pieces, shuffled and upside down: nobody who looks takes it for a picture."""
    boxes = _boxes(image.size)
    order = list(range(len(boxes)))
    while all(place == piece for place, piece in enumerate(order)):
        draw.shuffle(order)
    out = image.copy()
    for box, piece in zip(boxes, order, strict=True):
        part = image.crop(boxes[piece]).transpose(Image.Transpose.ROTATE_180)
        out.paste(part.resize((box[2] - box[0], box[3] - box[1])), box[:2])
    return out


def mask(images: Sequence[Image.Image], size: tuple[int, int], draw: random.Random) -> Image.Image:
    """Pieces of many pictures, large and small over each other: their colours and edges without what they show."""
    layers = []
    for pieces in (_PIECES, 3 * _PIECES):
        layer = Image.new("RGB", size)
        for box in _boxes(size, pieces):
            source = draw.choice(images)
            width, height = box[2] - box[0], box[3] - box[1]
            left, top = draw.randint(0, source.width - width), draw.randint(0, source.height - height)
            part = source.crop((left, top, left + width, top + height))
            layer.paste(part.transpose(draw.choice(list(Image.Transpose)[:2])), box[:2])
        layers.append(layer)
    return Image.blend(layers[0], layers[1], 0.5)


def _boxes(size: tuple[int, int], pieces: int = _PIECES) -> list[tuple[int, int, int, int]]:
    across, down = min(pieces, size[0]), min(pieces, size[1])
    xs = [size[0] * place // across for place in range(across + 1)]
    ys = [size[1] * place // down for place in range(down + 1)]
    return [(xs[x], ys[y], xs[x + 1], ys[y + 1]) for y in range(down) for x in range(across)]


def write_png(image: Image.Image, path: Path) -> None:
    """Pixels alone: neither text nor profile nor time."""
    bare = Image.frombytes("RGB", image.size, image.tobytes())
    with path.open("wb") as file:
        bare.save(file, "PNG", compress_level=6)
        file.flush()
        os.fsync(file.fileno())
