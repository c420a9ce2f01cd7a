"""Batches over a pipeline of the test's own, run as the application runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from webui.testing import Outcome, Studio, make_studio, run_pipeline

HERE = Path(__file__).resolve().parent
DIRS = [HERE.parents[1], HERE / "extensions"]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("batch"), extensions_dirs=DIRS)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four pictures, one of them broken, a text, a hidden file and a folder with one more."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name, colour in (("b.png", "red"), ("A.jpg", "lime"), ("b.webp", "blue"), ("more/c.png", "white")):
        Image.new("RGB", (12, 8), colour).save(folder / name)
    (folder / "broken.png").write_bytes((folder / "b.png").read_bytes()[:40])
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_bytes((folder / "b.png").read_bytes())
    return folder


@pytest.fixture
def batch(studio: Studio, photos: Path) -> Callable[..., Outcome]:
    """Run a batch of ``tints.tint`` over ``photos``."""

    def run(**asked: object) -> Outcome:
        how = {name: asked.pop(name) for name in ("cancel_when", "job") if name in asked}
        said = {"folder": str(photos), "pipeline": "tints.tint", "params": {"seed": 5}, **asked}
        return run_pipeline("batch.folder", said, studio.settings.data_dir, studio=studio, **how)  # type: ignore[arg-type]

    return run
