"""Faces mixed in latents: detail that drawing did not touch stays, and jobs on the starter change the face alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("cv2")
pytest.importorskip("diffusers")

from extensions.faces.judging.captions import mixed_caption
from extensions.faces.pipelines.expression import moving
from extensions.faces.pipelines.latents import mixture, with_detail
from extensions.faces.pixels.laying import Laid
from extensions.faces.tests.test_mixing import face_at
from extensions.faces.tests.test_tries import HEADS, read
from extensions.faces.vocabulary import TAKEN
from webui.testing import Outcome, Studio, make_studio, run_pipeline

ROOT = Path(__file__).resolve().parents[3]
needs_starter = pytest.mark.skipif(
    not (ROOT / "models" / "starter" / "avatar").is_dir(), reason="needs the starter's models"
)


@given(seed=st.integers(0, 2**31))
def test_what_drawing_did_not_touch_is_kept_to_the_bit_and_nothing_of_what_it_replaced(seed: int) -> None:
    rng = np.random.RandomState(seed)
    over, decoded = rng.randint(60, 190, (2, 6, 12, 3)).astype(np.uint8)
    assert (with_detail(over, decoded, decoded) == over).all()
    drawn = decoded.copy()
    drawn[:, 6:] = 255 - (decoded[:, 6:] > 127) * np.uint8(255)  # another picture altogether
    result = with_detail(over, decoded, drawn)
    assert (result[:, :5] == over[:, :5]).all()
    assert np.abs(result[:, 8:].astype(int) - drawn[:, 8:]).max() <= 8


@given(amount=st.floats(0, 1))
def test_a_mixture_counts_under_the_mask_alone(amount: float) -> None:
    before, over = np.full((4, 4, 3), 50, np.uint8), np.full((4, 4, 3), 150, np.uint8)
    mask = np.zeros((4, 4), np.float32)
    mask[1:3] = 1
    mixed = mixture(before, Laid(over, mask, np.zeros_like(mask)), amount)
    assert (mixed[0] == 50).all()
    assert np.abs(mixed[1:3].astype(float) - (50 + 100 * amount)).max() <= 0.5 + 1e-3


def test_a_mixture_is_described_with_what_is_taken_of_the_other() -> None:
    ours = read(mood="smiling", hair_style="long", hair_colour="red", eyewear="none", eyes="blue", beard="none")
    theirs = read(mood="angry", hair_style="bald", hair_colour="black", eyewear="glasses", eyes="green", beard="beard")
    said = mixed_caption(ours, theirs, HEADS, TAKEN["face"])
    assert "angry" in said
    assert "glasses" in said
    assert "red hair" in said
    said = mixed_caption(ours, theirs, HEADS, {"mood"})
    assert "glasses" not in said
    assert "angry" in said


def test_what_moves_is_drawn_with_eyes_and_mouth() -> None:
    face = face_at(60, 50, 90)
    picture = Image.new("RGB", (200, 200), (120, 120, 120))
    warped = picture.copy()
    warped.putpixel((100, 60), (0, 0, 0))
    both, eyes = (moving(picture, warped, face, True, mouth).mask for mouth in (True, False))
    assert both[60, 100] == eyes[60, 100] == 1
    x, y = (round(v) for v in face.landmarks["upper lip"])
    assert both[y + 4, x] == 1
    assert eyes[y + 4, x] == 0
    assert not moving(picture, picture, face, False, False).mask.any()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("faces"), extensions={"provenance": {"watermark": False}})


def person(skin: tuple[int, int, int], eyes: tuple[int, int, int]) -> Image.Image:
    drawn = Image.new("RGB", (128, 128), (120, 160, 220))
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((30, 100, 98, 128), fill=(60, 90, 200))
    pen.ellipse((34, 30, 94, 104), fill=skin)
    for x in (52, 76):
        pen.ellipse((x - 5, 62, x + 5, 72), fill=eyes)
    pen.line((54, 88, 74, 88), fill=(150, 40, 50), width=3)
    return drawn


def run(studio: Studio, folder: Path, pipeline: str, **params: object) -> Outcome:
    for name, one in (("a", person((240, 200, 170), (60, 40, 20))), ("b", person((150, 100, 70), (30, 160, 60)))):
        one.save(folder / f"{name}.png")
    box = json.dumps([{"box": [34, 30, 94, 104]}])
    files = {"image": str(folder / "a.png"), "source": str(folder / "b.png"), "faces": box, "source_faces": box}
    return run_pipeline(pipeline, {**files, "seed": 3, "consent": True, **params}, folder, studio=studio)


@needs_starter
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_jobs_draw_the_mixture_and_leave_the_rest(studio: Studio, tmp_path: Path) -> None:
    before = np.asarray(person((240, 200, 170), (60, 40, 20)), int)
    made = {}
    # One step each.
    for way in ({"way": "warp"}, {"way": "latents", "denoise": 0.05}):
        outcome = run(studio, tmp_path, "faces.swap", **way)
        assert outcome.state == "done", outcome.error
        told = json.loads(outcome.paths[2].read_text())
        assert told["changed_outside_of_the_mask"] == 0
        made[way["way"]] = np.asarray(outcome.images[0].convert("RGB"), int)
        assert (made[way["way"]][:20] == before[:20]).all()
        assert made[way["way"]][67, 52].argmax() == 1  # the other one's eyes are green
    assert (made["warp"] != made["latents"]).any()
    assert np.abs(made["warp"] - made["latents"]).mean() < 4
    expression = run(studio, tmp_path, "faces.expression", way="latents", denoise=0.05)
    assert expression.state == "done", expression.error
    after = np.asarray(expression.images[0].convert("RGB"), int)
    assert (after[:20] == before[:20]).all()
    assert after[67, 52].argmax() == 0
