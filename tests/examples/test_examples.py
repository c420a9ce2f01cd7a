"""The example extensions, as folders: they keep the contract, and do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from webui.app import Studio
from webui.core.settings import ROOT, Settings
from webui.testing import make_studio, run_pipeline
from webui.testing.samples import sample_picture
from webui.testing.supervise import check_extension, subject_at

EXAMPLES = ROOT / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/extension.toml"))


def test_there_is_one_of_each_sort() -> None:
    assert NAMES == ["palette", "swatches", "warm_tones"]


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(name: str, tmp_path: Path) -> None:
    report = check_extension(subject_at(EXAMPLES / name), Settings(data_dir=tmp_path), run_jobs=False)
    assert report.ok, report.as_text()


def test_a_palette_is_a_model_and_recolours(tmp_path: Path) -> None:
    palettes = tmp_path / "models" / "palettes"
    palettes.mkdir(parents=True)
    save_file({"palette": np.array([[0, 0, 0], [1, 1, 1]], dtype=np.float32)}, palettes / "two.safetensors")
    save_file({"other": np.zeros((2, 3), dtype=np.float32)}, palettes / "none.safetensors")
    studio = make_studio(tmp_path / "data", extensions_dirs=[EXAMPLES], models_dirs=[tmp_path / "models"])
    picture = str(sample_picture(tmp_path / "sample.png"))
    (palette,) = studio.catalog.entries("palette")
    outcome = run_pipeline("palette.recolour", {"image": picture, "palette": palette.ref}, tmp_path, studio=studio)
    studio.library.close()
    assert outcome.state == "done", outcome.error
    assert {colour for _, colour in outcome.images[0].getcolors()} == {(0, 0, 0), (255, 255, 255)}


def test_every_picture_is_warmed_where_that_is_set(tmp_path: Path) -> None:
    def studio_of(**settings: Any) -> Studio:
        return make_studio(tmp_path / "data", extensions_dirs=[EXAMPLES], models_dirs=[], **settings)

    given = {"colour": "#808080", "width": 64}
    pixels = []
    for studio in (studio_of(), studio_of(extensions={"warm_tones": {"strength": 1}})):
        pixels.append(run_pipeline("swatches.swatch", given, tmp_path, studio=studio).images[0].getpixel((0, 0)))
        studio.library.close()
    assert pixels == [(128, 128, 128), (154, 128, 102)]
