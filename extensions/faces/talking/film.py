"""Frames and samples -> an MP4 that plays everywhere. The same frames and samples give the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_film(
    path: Path, frames: Iterable[NDArray[np.uint8]], fps: int, samples: NDArray[np.float32], rate: int
) -> int:
    """Write frames uint8 [H,W,3] and one channel of sound float32 [N] in -1..1, all or nothing; how many frames.

    Raises ValueError without a frame, and what ``frames`` raises.
    """
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp.mp4")
    try:
        with av.open(str(temporary), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
            count, video = 0, None
            sound = container.add_stream("aac", rate=rate, layout="mono")
            sound.codec_context.options = {"flags": "+bitexact"}
            for frame in frames:
                even = np.ascontiguousarray(frame[: frame.shape[0] // 2 * 2, : frame.shape[1] // 2 * 2])
                if video is None:
                    # One thread decides as it does every time.
                    options = {"crf": "18", "preset": "medium", "threads": "1", "flags": "+bitexact"}
                    video = container.add_stream("libx264", rate=Fraction(fps), options=options)
                    video.height, video.width = even.shape[:2]
                    video.pix_fmt, video.thread_count = "yuv420p", 1
                made = av.VideoFrame.from_ndarray(even, format="rgb24")
                made.pts, made.time_base = count, Fraction(1, fps)
                container.mux(video.encode(made))
                count += 1
            if video is None:
                raise ValueError("a film needs at least one frame")
            container.mux(video.encode(None))
            for start in range(0, len(samples), 1024):
                block = np.zeros((1, 1024), np.float32)
                part = samples[start : start + 1024]
                block[0, : len(part)] = part
                spoken = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
                spoken.sample_rate, spoken.pts, spoken.time_base = rate, start, Fraction(1, rate)
                container.mux(sound.encode(spoken))
            container.mux(sound.encode(None))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count
