"""The example extensions as built wheels, installed beside the application and used from there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.extending.conftest import Ext
from webui.cli.extending import pip
from webui.core.settings import ROOT
from webui.testing.samples import sample_picture

NAMES = ("palette", "swatches", "warm_tones")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Built from copies, since a build leaves folders behind; what builds them is installed here."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in NAMES[1:]:
        copied = shutil.copytree(ROOT / "examples" / name, tmp_path_factory.mktemp("project") / name)
        pip.build(copied, folder, isolated=False)
    return sorted(folder.glob("*.whl"))


def test_wheels_and_a_project_come_together_and_work(
    ext: Ext, lifelike_command: Ext, python: Path, packages: Path, wheels: list[Path], tmp_path: Path
) -> None:
    """Each is checked when it is installed, its tab among it."""
    for source in (ROOT / "examples" / NAMES[0], *wheels):
        told = ext("install", source, "--yes", "--json")
        assert told.returncode == 0, told.stderr
    assert [path.name for path in wheels] == [f"lifelike_{name}-1.0.0-py3-none-any.whl" for name in NAMES[1:]]
    assert all((packages / f"lifelike_{name}" / "locale" / "zh-CN.json").exists() for name in NAMES)
    listed = {one["id"]: one for one in json.loads(ext("list", "--json").stdout)}
    assert [listed[name]["state"] for name in NAMES] == ["loaded"] * 3, listed

    settings = tmp_path / "data" / "settings.json"
    settings.write_text(json.dumps({"extensions": {"warm_tones": {"strength": 1}}}))
    made = lifelike_command("run", "swatch", "--colour", "#808080", "--width", 64, "--out", tmp_path / "grey")
    assert made.returncode == 0, made.stderr
    assert Image.open(next((tmp_path / "grey").glob("*.png"))).getpixel((0, 0)) == (154, 128, 102)

    settings.unlink()
    palettes = tmp_path / "models" / "palettes"
    palettes.mkdir(parents=True)
    save_file({"palette": np.array([[0, 0, 0], [1, 1, 1]], dtype=np.float32)}, palettes / "two.safetensors")
    made = lifelike_command(
        "run", "recolour", "--image", sample_picture(tmp_path / "sample.png"),
        "--palette", "2:palettes/two.safetensors", "--models-dir", tmp_path / "models", "--out", tmp_path / "two",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert {colour for _, colour in Image.open(next((tmp_path / "two").glob("*.png"))).getcolors()} == {
        (0, 0, 0),
        (255, 255, 255),
    }
    gone = [str(python), "-I", "-m", "pip", "uninstall", "--yes", *(f"lifelike_{name}" for name in NAMES)]
    subprocess.run(gone, check=True, capture_output=True)
