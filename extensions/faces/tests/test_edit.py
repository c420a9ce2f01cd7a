"""faces.edit as a job: what is within runs, the judge chooses, only the mask changes, consent is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("cv2")

from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

HERE = Path(__file__).resolve().parent
BOX = [{"box": [50, 40, 110, 120]}]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    data = tmp_path_factory.mktemp("faces")
    return make_studio(data, models_dirs=[data / "none"], extensions_dirs=[HERE.parents[1], HERE / "extensions"])


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    y, x = np.mgrid[:160, :160]
    pixels = np.stack([x // 4 + 190, y // 4 + 180, (x + y) // 8 + 200], 2).astype(np.uint8)
    path = tmp_path_factory.mktemp("picture") / "in.png"
    Image.fromarray(pixels).save(path)
    return path


def run(studio: Studio, tmp_path: Path, picture: Path, **params: object) -> Outcome:
    given = {"image": str(picture), "faces": json.dumps(BOX), "pipeline": "negatives.make", "seed": 3, "consent": True}
    given["match_colours"] = False  # it would take a whole negative for a cast
    return run_pipeline("faces.edit", {**given, **params}, tmp_path, studio=studio)


def numbers(outcome: Outcome) -> dict:
    assert outcome.state == "done", outcome.error
    return json.loads(outcome.paths[2].read_text())


def test_only_the_region_changes(studio: Studio, tmp_path: Path, picture: Path) -> None:
    outcome = run(studio, tmp_path, picture, region="face", prompt="negative")
    told = numbers(outcome)
    assert told["changed_outside_of_the_mask"] == 0
    assert 0.02 < told["changed_share"] < 0.5
    assert -1 <= told["likeness"] < 0.9999
    after, before = np.asarray(outcome.images[0], int), np.asarray(Image.open(picture), int)
    # What is kept in the library has its mark all over: a few grey levels.
    assert np.abs(after[:20, :20] - before[:20, :20]).max() < 24
    assert np.abs(after[75:85, 75:85] - before[75:85, 75:85]).max() > 60


def test_the_likest_candidate_is_kept(studio: Studio, tmp_path: Path, picture: Path) -> None:
    told = numbers(run(studio, tmp_path, picture, tries=3, seed=1))
    assert [row["seed"] for row in told["candidates"]] == [1, 2, 3]
    likes = [row["likeness"] for row in told["candidates"]]
    assert told["kept_seed"] == 1 + likes.index(max(likes))


def test_a_wish_decides_by_the_judge(studio: Studio, tmp_path: Path, picture: Path) -> None:
    told = numbers(run(studio, tmp_path, picture, attribute="hat=crown", tries=2, seed=2))
    assert told["wanted"] == "avatar.hat=crown"
    assert 0 <= told["wanted_probability"] <= 1
    outcome = run(studio, tmp_path, picture, attribute="hat=fez")
    assert outcome.state == "failed"
    assert "fez" in str(outcome.error)


def test_a_painted_mask_stands_for_the_region(studio: Studio, tmp_path: Path, picture: Path) -> None:
    mask = Image.new("L", (160, 160), 0)
    mask.paste(255, (60, 60, 80, 80))
    path = tmp_path / "mask.png"
    mask.save(path)
    told = numbers(run(studio, tmp_path, picture, mask=str(path), blend="hard", least_change=0))
    assert told["changed_share"] == pytest.approx(400 / 160**2, abs=0.001)


def test_without_consent_nothing_is_made(studio: Studio, tmp_path: Path, picture: Path) -> None:
    with pytest.raises(ParameterError, match="consent"):
        run(studio, tmp_path, picture, consent=False)


def test_wrong_pipelines_and_parameters_are_told_at_their_field(studio: Studio, tmp_path: Path, picture: Path) -> None:
    with pytest.raises(ParameterError) as caught:
        run(studio, tmp_path, picture, pipeline="faces.edit")
    assert caught.value.fields[0].name == "pipeline"
    with pytest.raises(ParameterError) as caught:
        run(studio, tmp_path, picture, params={"strenth": 1})
    assert caught.value.fields[0].name == "params"
    outcome = run(studio, tmp_path, picture, face=2)
    assert outcome.state == "failed"
    assert "face" in str(outcome.error)
