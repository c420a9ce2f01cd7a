"""Jobs of this tab, run as the application runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from webui.api import ParameterError
from webui.testing import Outcome, run_pipeline


def done(studio: Any, pipeline: str, tmp_path: Path, **params: Any) -> Outcome:
    outcome = run_pipeline(pipeline, params, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    return outcome


def means(picture: Image.Image) -> Any:
    return np.asarray(picture.convert("RGB"), dtype=float).mean(axis=(0, 1))


def test_colours_come_from_the_references(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    asked = {
        "image": str(pictures["warm"]),
        "references": [str(pictures["cold"])],
        "method": "histogram",
        "space": "rgb",
    }
    made = done(studio, "style.colour", tmp_path, **asked)
    assert made.images[0].size == (64, 48)
    goal = means(Image.open(pictures["cold"]))
    assert np.abs(means(made.images[0]) - goal).max() < 3
    again = done(studio, "style.colour", tmp_path, **asked)
    assert again.paths[0].read_bytes() == made.paths[0].read_bytes()


def test_transparency_stays_and_a_mask_bounds(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    mask = Image.new("L", (64, 48))
    mask.paste(255, (0, 0, 30, 48))
    mask.save(tmp_path / "mask.png")
    made = done(
        studio,
        "style.colour",
        tmp_path,
        image=str(pictures["clear"]),
        references=[str(pictures["cold"]), str(pictures["stripes"])],
        weights="3, 1",
        mask=str(tmp_path / "mask.png"),
    )
    before, after = np.asarray(Image.open(pictures["clear"])), np.asarray(made.images[0])
    assert np.array_equal(before[..., 3], after[..., 3])
    assert np.array_equal(before[:, 30:], after[:, 30:])
    assert np.abs(before[:, :30, :3].astype(int) - after[:, :30, :3]).mean() > 10


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"weights": "1, 2"}, "weights"), ({"weights": "x"}, "weights")],
)
def test_what_is_missing_is_said(
    studio: Any, tmp_path: Path, pictures: dict[str, Path], asked: dict[str, Any], field: str
) -> None:
    params = {"image": str(pictures["warm"]), "references": [str(pictures["cold"])], **asked}
    with pytest.raises(ParameterError) as refused:
        run_pipeline("style.colour", params, tmp_path, studio=studio)
    assert [one.name for one in refused.value.fields] == [field]


def test_a_folder_of_pictures_is_coloured(studio: Any, tmp_path: Path, pictures: dict[str, Path]) -> None:
    folder = studio.settings.data_dir / "to-colour"
    folder.mkdir()
    for name in ("warm", "stripes"):
        Image.open(pictures[name]).save(folder / f"{name}.png")
    inner = {"references": [str(pictures["cold"])], "method": "reinhard"}
    asked = {"folder": str(folder), "pipeline": "style.colour", "params": inner}
    made = run_pipeline("batch.folder", asked, tmp_path, studio=studio)
    assert made.state == "done", made.error
    assert len(made.images) == 2
    alone = done(studio, "style.colour", tmp_path, image=str(folder / "stripes.png"), **inner)
    assert made.images[0].tobytes() == alone.images[0].tobytes()
