"""What the invisible watermark survives, measured: drawn pictures and textures, marked, changed and read -> JSON.

python scripts/watermark_survival.py [--size 128 256 512] [--count 16]
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from extensions.provenance import watermark
from extensions.starter.world import draw, sample

DATA = 0xC0FFEE42


def pictures(size: int, count: int) -> Iterator[Image.Image]:
    """Three quarters drawings, one quarter textures of five scales, as photographs have them."""
    for index in range(count):
        if index % 4:
            yield draw(sample(1_000_000_000 + index), size)
            continue
        random = np.random.default_rng(index)
        total = np.zeros((size, size, 3))
        for scale in (1, 2, 4, 8, 16):
            noise = random.integers(0, 256, (-(-size // scale), -(-size // scale), 3), dtype=np.uint8)
            layer = Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC)
            total += (np.asarray(layer, float) - 128) * scale**0.5
        yield Image.fromarray(np.clip(total / total.std() * 45 + 128, 0, 255).astype(np.uint8))


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(picture: Image.Image, by: float) -> Image.Image:
    return picture.resize((round(picture.width * by), round(picture.height * by)), Image.Resampling.BICUBIC)


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Without ``share`` of each side's length at each edge."""
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "nothing": lambda p: p,
    **{f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (90, 70, 50, 30, 20)},
    **{f"resized x{by:g}": partial(scaled, by=by) for by in (2, 0.75, 0.5, 0.25)},
    "half size, JPEG 70": lambda p: jpeg(scaled(p, 0.5), 70),
    "another aspect": lambda p: p.resize((p.width, round(p.height * 0.75))),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "darker by 20%": lambda p: p.point(lambda v: v * 0.8),
    "brighter by 20%": lambda p: p.point(lambda v: v * 1.2),
    "blur of 1.5 px": lambda p: p.filter(ImageFilter.GaussianBlur(1.5)),
    "1% cropped at each edge": lambda p: cropped(p, 0.01),
    "5% cropped at each edge": lambda p: cropped(p, 0.05),
}


def measured(size: int, count: int) -> dict[str, object]:
    """Shares of pictures whose mark is read whole after each change, and how far the mark changes a picture."""
    read = dict.fromkeys(CHANGES, 0)
    psnr, wrongly = [], 0
    for picture in pictures(size, count):
        marked = watermark.embed(picture, DATA)
        error = np.square(np.asarray(marked, float) - np.asarray(picture, float)).mean()
        psnr.append(10 * float(np.log10(255**2 / error)))
        wrongly += watermark.read(picture) is not None
        for name, change in CHANGES.items():
            found = watermark.read(change(marked))
            read[name] += found is not None and found.data == DATA
    shares = {name: round(hits / count, 3) for name, hits in read.items()}
    told = {"mean": round(sum(psnr) / count, 1), "least": round(min(psnr), 1)}
    return {"size": size, "pictures": count, "psnr_db": told, "read": shares, "read_where_none_is": wrongly}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--count", type=int, default=16)
    options = parser.parse_args()
    sys.stdout.write(json.dumps([measured(size, options.count) for size in options.size], indent=2) + "\n")


if __name__ == "__main__":
    main()
