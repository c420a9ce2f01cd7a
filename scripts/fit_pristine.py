"""Makes the pristine models that come with the metrics extension, the same bytes each time.

    PYTHONPATH=. python scripts/fit_pristine.py FOLDER

FOLDER holds scikit-image's sample photographs that are in the public domain or CC0 (see its docs for each): astronaut,
brick, camera, chelsea, coffee, grass, gravel and rocket. The drawings are the starter's, made here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from extensions.metrics.pictures.pristine import BUNDLED, fit, save
from extensions.starter.world import draw, sample

PHOTOGRAPHS = ("astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "rocket")
DRAWINGS, DRAWING_SEED, DRAWING_PX = 400, 2_000_000_000, 128


def pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 [H,W,3]."""
    return np.asarray(image.convert("RGB"))


def main(folder: Path) -> None:
    """Write both models into the extension."""
    paths = [next(folder.glob(f"{name}.*")) for name in PHOTOGRAPHS]
    photographs = fit("8 public-domain photographs", [pixels(Image.open(path)) for path in paths], patch_px=96)
    save(photographs, BUNDLED / "pristine_photographs.npz")
    drawn = (pixels(draw(sample(DRAWING_SEED + i).with_(style="flat"), DRAWING_PX)) for i in range(DRAWINGS))
    drawings = fit("400 flat drawings of the starter", drawn, patch_px=32, overlap=0.0)
    save(drawings, BUNDLED / "pristine_drawings.npz")
    for model in (photographs, drawings):
        sys.stdout.write(f"{model.name}: {model.patches} patches of {model.patch_px} pixels\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
