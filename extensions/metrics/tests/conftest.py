"""Small sets of drawn pictures, and jobs of the scores on them, as the application runs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.testing import Outcome, Studio, make_studio, run_pipeline


def write_pictures(folder: Path, count: int, seed: int, *, shift: int = 0, side: int = 24, ending: str = "png") -> Path:
    """Flat colours with a square somewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        pixels = np.empty((side, side, 3), np.uint8)
        pixels[:] = rng.integers(0, 120, 3) + shift
        x, y = rng.integers(0, side - 6, 2)
        pixels[y : y + 6, x : x + 6] = rng.integers(0, 255, 3)
        Image.fromarray(pixels).save(folder / f"{index:04}.{ending}")
    return folder


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("metrics"))


@pytest.fixture(scope="session")
def real(studio: Studio) -> Path:
    return write_pictures(studio.settings.data_dir / "sets" / "real", 80, 1)


@pytest.fixture(scope="session")
def made(studio: Studio) -> Path:
    return write_pictures(studio.settings.data_dir / "sets" / "made", 64, 2, shift=60)


@pytest.fixture(scope="session")
def score(studio: Studio) -> Callable[..., Outcome]:
    def run(name: str, /, **params: Any) -> Outcome:
        how = {one: params.pop(one) for one in ("cancel_when", "job") if one in params}
        said = {one: str(value) if isinstance(value, Path) else value for one, value in params.items()}
        return run_pipeline(f"metrics.{name}", said, studio.settings.data_dir, studio=studio, **how)

    return run


def numbers(outcome: Outcome) -> dict[str, Any]:
    """What the scalar of a job says."""
    assert outcome.state == "done", outcome.error
    found = next(p for r, p in zip(outcome.records, outcome.paths, strict=True) if r.kind == "scalar")
    told: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
    return told
