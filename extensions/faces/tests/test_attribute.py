"""faces.attribute as a job on the starter: words become a wish, tries end when it is reached, other words do too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("cv2")
pytest.importorskip("diffusers")

from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

ROOT = Path(__file__).resolve().parents[3]
BOX = [{"box": [38, 38, 90, 100]}]
pytestmark = [
    pytest.mark.skipif(not (ROOT / "models" / "starter" / "edit").is_dir(), reason="needs the starter's models"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    drawn = Image.new("RGB", (128, 128), (120, 160, 220))
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((30, 100, 98, 128), fill=(60, 90, 200))
    pen.ellipse((34, 30, 94, 104), fill=(240, 200, 170))
    pen.chord((32, 24, 96, 84), 180, 360, fill=(90, 60, 30))
    for x in (52, 76):
        pen.ellipse((x - 5, 62, x + 5, 72), fill=(60, 40, 20))
    pen.line((54, 88, 74, 88), fill=(150, 40, 50), width=3)
    path = tmp_path_factory.mktemp("picture") / "in.png"
    drawn.save(path)
    return path


def run(studio: Studio, tmp_path: Path, picture: Path, **params: object) -> Outcome:
    given = {"image": str(picture), "faces": json.dumps(BOX), "seed": 3, "consent": True}
    return run_pipeline("faces.attribute", {**given, **params}, tmp_path, studio=studio)


def numbers(outcome: Outcome) -> dict:
    assert outcome.state == "done", outcome.error
    told = json.loads(outcome.paths[2].read_text())
    assert told["changed_outside_of_the_mask"] == 0
    return told


def test_words_become_a_wish_and_tries_grow_bolder(studio: Studio, tmp_path: Path, picture: Path) -> None:
    # Of two steps nothing comes: every try is made, the third with more weight on the words.
    told = numbers(run(studio, tmp_path, picture, prompt="put on a crown", tries=3, params={"steps": 2}))
    assert told["wanted"] == "avatar.hat=crown"
    made = told["candidates"]
    assert [row["seed"] for row in made] == [3, 4, 5][: len(made)]
    assert len(made) == 3 or made[-1]["reached"]
    if len(made) == 3:
        assert (made[2]["guidance_scale"], made[2]["image_guidance_scale"]) == (7.0, 1.0)
    assert "guidance_scale" not in made[0]
    fixed = numbers(run(studio, tmp_path, picture, prompt="put on a crown", tries=1, params={"steps": 1}))
    assert len(fixed["candidates"]) == 1


def test_words_that_no_judge_reads_are_tried_once(studio: Studio, tmp_path: Path, picture: Path) -> None:
    told = numbers(run(studio, tmp_path, picture, prompt="as a knight", params={"steps": 1}))
    assert "wanted" not in told
    assert len(told["candidates"]) == 1


def test_other_words_after_inversion(studio: Studio, tmp_path: Path, picture: Path) -> None:
    given = {"method": "reword", "params": {"steps": 3}, "tries": 1}
    told = numbers(run(studio, tmp_path, picture, change="crown", **given))
    assert told["wanted"] == "avatar.hat=crown"
    outcome = run(
        studio,
        tmp_path,
        picture,
        before="a person",
        prompt="a person with glasses",
        attribute="eyewear=glasses",
        **given,
    )
    assert numbers(outcome)["wanted"] == "avatar.eyewear=glasses"
    assert isinstance(outcome.images[0], Image.Image)
    unsaid = run(studio, tmp_path, picture, prompt="as a knight", **given)
    assert unsaid.state == "failed"
    assert "before" in str(unsaid.error)
    with pytest.raises(ParameterError, match="strenth"):
        run(studio, tmp_path, picture, method="reword", params={"strenth": 1})
