"""Jobs with networks, on small random ones in models/style."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.api import ParameterError
from webui.testing import make_studio, run_pipeline

from .layouts import write
from .test_pipelines import done


@pytest.fixture(scope="module")
def random_studio(tmp_path_factory: pytest.TempPathFactory) -> Any:
    models = tmp_path_factory.mktemp("style-models")
    write(models)
    return make_studio(tmp_path_factory.mktemp("style-random"), models_dirs=[models])


def array(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB")).astype(int)


def test_adain_in_tiles_is_adain_whole(random_studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    asked = {"image": str(pictures["warm"]), "references": [str(pictures["stripes"])], "side": 200}
    whole = done(random_studio, "style.adain", tmp_path, **asked, tile=0)
    tiled = done(random_studio, "style.adain", tmp_path, **asked, tile=64)
    assert whole.images[0].size == (200, 150)
    assert np.abs(array(whole.images[0]) - array(tiled.images[0])).max() <= 1
    with Image.open(whole.paths[0]) as file:
        assert "Style distance: " in file.info["parameters"]
        assert "colours alone" in file.info["parameters"]


def test_masks_give_each_reference_its_place(random_studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    for name, box in (("left", (0, 0, 32, 48)), ("right", (32, 0, 64, 48))):
        mask = Image.new("L", (64, 48))
        mask.paste(255, box)
        mask.save(tmp_path / f"{name}.png")
    asked = {"image": str(pictures["warm"]), "references": [str(pictures["stripes"]), str(pictures["cold"])]}
    masks = [str(tmp_path / "left.png"), str(tmp_path / "right.png")]
    placed = done(random_studio, "style.adain", tmp_path, **asked, masks=masks)
    turned = done(random_studio, "style.adain", tmp_path, **asked, masks=masks[::-1])
    assert np.abs(array(placed.images[0]) - array(turned.images[0])).max() > 1
    for wrong in ({"masks": masks[:1]}, {"weights": "1, 2, 3"}):  # before it is queued, at its field
        with pytest.raises(ParameterError) as refused:
            run_pipeline("style.adain", {**asked, **wrong}, tmp_path, studio=random_studio)
        assert [one.name for one in refused.value.fields] == list(wrong)


@pytest.mark.parametrize("keep", ["references", "hue"])
def test_colours_can_stay(random_studio: Any, tmp_path: Path, pictures: dict[str, Path], keep: str) -> None:
    asked = {"image": str(pictures["warm"]), "references": [str(pictures["cold"])]}
    changed = done(random_studio, "style.adain", tmp_path, **asked)
    kept = done(random_studio, "style.adain", tmp_path, **asked, keep_colour=keep)
    assert changed.images[0].tobytes() != kept.images[0].tobytes()


def test_optimization_shows_its_way(random_studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    asked = {"image": str(pictures["warm"]), "references": [str(pictures["stripes"])], "side": 64, "steps": 3}
    made = done(random_studio, "style.optimise", tmp_path, **asked, start="noise", seed=4)
    again = done(random_studio, "style.optimise", tmp_path, **asked, start="noise", seed=4)
    assert made.previews >= 1
    assert made.paths[0].read_bytes() == again.paths[0].read_bytes()
    stopped = run_pipeline(
        "style.optimise", {**asked, "steps": 500}, tmp_path, studio=random_studio, cancel_when=lambda o: o.previews > 0
    )
    assert stopped.state == "cancelled"


def test_a_ready_reference_is_drawn(random_studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    made = [
        done(random_studio, "style.adain", tmp_path, image=str(pictures["warm"]), ready=name).images[0].tobytes()
        for name in ("strokes", "drawn sketch")
    ]
    assert made[0] != made[1]


def test_distances_stand_beside_baselines(random_studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    made = done(
        random_studio,
        "style.score",
        tmp_path,
        image=str(pictures["warm"]),
        references=[str(pictures["stripes"])],
        results=[str(pictures["warm"]), str(pictures["stripes"])],
    )
    rows = {row["picture"]: row for row in csv.DictReader(made.paths[0].read_text(encoding="utf-8").splitlines())}
    assert float(rows["picture itself"]["content distance"]) == 0
    assert rows["result 1"]["style distance"] == rows["picture itself"]["style distance"]
    assert float(rows["result 2"]["style distance"]) == 0
    assert float(rows["result 2"]["content distance"]) > 0


def test_without_networks_it_is_said(tmp_path: Path, pictures: dict[str, Path]) -> None:
    empty = make_studio(tmp_path / "data", models_dirs=[tmp_path])
    outcome = run_pipeline("style.adain", {"image": str(pictures["warm"])}, tmp_path, studio=empty)
    assert outcome.state == "failed"
    assert "style encoder" in str(outcome.error)
