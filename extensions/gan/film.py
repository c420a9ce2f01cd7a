"""Films: from pictures one after the other to an MP4, GIF, APNG or WebP file. The same pictures give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

FilmFormat = Literal["mp4", "gif", "png", "webp"]


def write_film(path: Path, frames: Iterable[np.ndarray], fps: int, film_format: str, *, quality: int = 18) -> int:
    """Write ``frames``, uint8 [H,W,3] each, to ``path``, all or nothing; how many they were.

    ``quality``: of MP4, the constant rate factor, 0 the best. Raises ValueError without a frame, and what ``frames``
    raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp.{film_format}")
    try:
        count = (
            _mp4(temporary, frames, fps, quality)
            if film_format == "mp4"
            else _pictures(temporary, frames, fps, film_format)
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _mp4(path: Path, frames: Iterable[np.ndarray], fps: int, quality: int) -> int:
    import av

    count = 0
    # Neither versions nor times are written, and one thread decides as it does every time.
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
        stream = None
        for frame in frames:
            frame = _even(frame)
            if stream is None:
                options = {"crf": str(quality), "preset": "medium", "threads": "1", "flags": "+bitexact"}
                stream = container.add_stream("libx264", rate=Fraction(fps), options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.thread_count = 1
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            made.pts, made.time_base = count, Fraction(1, fps)
            container.mux(stream.encode(made))
            count += 1
        if stream is None:
            raise ValueError("a film needs at least one frame")
        container.mux(stream.encode(None))
    return count


def _even(frame: np.ndarray) -> np.ndarray:
    """Players want even sides: an odd one loses its last row or column."""
    return frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2]


def _pictures(path: Path, frames: Iterable[np.ndarray], fps: int, film_format: str) -> int:
    count = 0

    def each() -> Iterator[Image.Image]:
        nonlocal count
        for frame in frames:
            count += 1
            picture = Image.fromarray(frame)
            # A palette of its own for every frame, without the dots of dithering that flicker.
            yield picture.quantize(256, dither=Image.Dither.NONE) if film_format == "gif" else picture

    pictures = each()
    first = next(pictures, None)
    if first is None:
        raise ValueError("a film needs at least one frame")
    # Pillow goes twice through the frames of an APNG; those of the others are made while they are written.
    others = list(pictures) if film_format == "png" else pictures
    options = {"gif": {"disposal": 1, "optimize": False}, "png": {}, "webp": {"quality": 90, "method": 3}}[film_format]
    duration = max(20, round(1000 / fps / 10) * 10) if film_format == "gif" else round(1000 / fps)
    first.save(path, film_format.upper(), save_all=True, append_images=others, duration=duration, loop=0, **options)
    return count
