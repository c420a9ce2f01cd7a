"""The small pictures of the ready references: one for each, and of what is drawn today."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from extensions.style.params import READY, READY_SEED
from extensions.style.pictures.reading import drawing_of
from webui.testing import run_pipeline

FOLDER = Path(__file__).resolve().parents[1] / "ready"


def test_each_has_a_small_picture() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(READY)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 64 * 1024


@pytest.mark.parametrize("name", ["strokes", "drawn watercolour"])
def test_it_is_of_what_is_drawn(studio: Any, tmp_path: Path, name: str) -> None:
    """Else scripts/ready_pictures.py makes them anew."""
    pipeline, asked = drawing_of(name, READY_SEED)
    drawn = run_pipeline(pipeline, asked, tmp_path, studio=studio).images[0].convert("RGB")
    with Image.open(FOLDER / f"{name}.webp") as file:
        shown = coarse(file)
    assert np.abs(shown - coarse(drawn)).mean() < 6


def coarse(picture: Image.Image) -> Any:
    """Without the marks of its compression."""
    return np.asarray(picture.convert("RGB").resize((28, 28), Image.Resampling.BOX)).astype(int)
