"""faces.find as a job: who looks, what a person says instead, what is left."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("cv2")

from webui.testing import Studio, make_studio, run_pipeline


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """Without any model: what comes with OpenCV, and what people say."""
    data = tmp_path_factory.mktemp("faces")
    return make_studio(data, models_dirs=[data / "none"])


def face_like(size: int = 160) -> Image.Image:
    """Shading as the cascade knows it: dark eyes under a light forehead, a light nose, a dark mouth."""
    y, x = np.mgrid[:size, :size] / size

    def spot(cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        return np.exp(-(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2))

    pixels = 90 + 110 * (spot(0.5, 0.5, 0.34, 0.42) > 0.37) + 30 * spot(0.5, 0.55, 0.05, 0.14)
    for side in (-1, 1):
        pixels = (
            pixels - 120 * spot(0.5 + side * 0.14, 0.42, 0.085, 0.045) - 50 * spot(0.5 + side * 0.14, 0.35, 0.1, 0.02)
        )
    pixels = pixels - 100 * spot(0.5, 0.72, 0.12, 0.03)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")


def run(
    studio: Studio, tmp_path: Path, picture: Image.Image, **params: object
) -> tuple[dict, list[Image.Image], list[str]]:
    path = tmp_path / "in.png"
    picture.save(path)
    outcome = run_pipeline("faces.find", {"image": str(path), **params}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    return json.loads(outcome.paths[1].read_text()), outcome.images, outcome.warnings


def test_the_cascade_finds_a_shaded_face(studio: Studio, tmp_path: Path) -> None:
    canvas = Image.new("RGB", (400, 300), (90, 90, 90))
    canvas.paste(face_like(), (200, 100))
    told, images, _ = run(studio, tmp_path, canvas)
    assert [face["by"] for face in told["faces"]] == ["haar"]
    left, top, right, bottom = told["faces"][0]["box"]
    assert left < 280 < right
    assert top < 180 < bottom
    assert 0.5 < (right - left) / 110 < 1.6
    mask = np.asarray(images[1].convert("L"))
    assert mask[180, 280] == 255
    assert mask[20, 20] == 0


def test_nothing_is_found_on_a_flat_picture(studio: Studio, tmp_path: Path) -> None:
    told, _, warnings = run(studio, tmp_path, Image.linear_gradient("L").convert("RGB"))
    assert told["faces"] == []
    assert any("No face" in warning for warning in warnings)


def test_what_a_person_says_stands(studio: Studio, tmp_path: Path) -> None:
    rows = [{"box": [10, 20, 60, 90], "landmarks": {"nose": [33, 61], "chin": [36, 91]}}]
    told, images, _ = run(
        studio, tmp_path, Image.new("RGB", (100, 120), "white"), faces=json.dumps(rows), region="eyes"
    )
    face = told["faces"][0]
    assert face["box"] == [10, 20, 60, 90]
    assert face["landmarks"]["nose"] == [33, 61]
    assert "nose" not in face["estimated"]
    assert images[1].size == (100, 120)
    assert images[0].size == (500, 600)


def test_yunet_asks_for_its_file(studio: Studio, tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    Image.new("RGB", (64, 64)).save(path)
    outcome = run_pipeline("faces.find", {"image": str(path), "detector": "yunet"}, tmp_path, studio=studio)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "detector_file" in str(outcome.error)
