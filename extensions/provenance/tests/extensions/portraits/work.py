"""What the pipelines of the tests do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from webui.api import Artifact, Context


def drawn(seed: int, side: int) -> Image.Image:
    """A soft picture of waves, whose colours are the seed's."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [np.sin(2 * np.pi * (a * x + b * y + c)) for a, b, c in random.uniform(0.5, 4, (3, 3))]
    return Image.fromarray((np.stack(waves, axis=-1) * 80 + 128).astype(np.uint8))


def film(path: Path, side: int) -> Path:
    import av

    with av.open(str(path), "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=8)
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        for seed in range(4):
            container.mux(stream.encode(av.VideoFrame.from_image(drawn(seed, side))))
        container.mux(stream.encode())
    return path


class Change:
    def run(self, params: Any, context: Context) -> Iterator[Artifact]:
        context.work_dir.mkdir(parents=True, exist_ok=True)
        if params.film == 2:
            path = context.work_dir / "face.npz"
            path.write_bytes(b"no place for a mark")
            yield Artifact("file", path)
        elif params.film:
            yield Artifact("video", film(context.work_dir / "face.mp4", params.size))
        else:
            yield Artifact("image", drawn(params.seed, params.size), seed=params.seed)


class Draw:
    def run(self, params: Any, context: Context) -> Iterator[Artifact]:
        yield Artifact("image", drawn(params.seed, 192), seed=params.seed)
