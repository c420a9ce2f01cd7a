"""Poses: a head moves within its outline or as one, and what is neither covered nor bared stays to the bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("cv2")

from extensions.faces.finding.face import Face
from extensions.faces.pixels.posing import Pose, head_mask, posed
from extensions.faces.tests.test_mixing import face_at
from extensions.faces.vocabulary import PARTS, POSES
from webui.testing import make_studio, run_pipeline

SIZE = 200
MARK = (250, 0, 0)


def striped(face: Face, *marks: str) -> np.ndarray:
    """A grey head before stripes, with red marks at some of its landmarks."""
    picture = Image.new("RGB", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    for x in range(0, SIZE, 10):
        pen.rectangle((x, 0, x + 4, SIZE), fill=(40, 80, 160))
    pixels = np.array(picture)
    pixels[head_mask(face, (SIZE, SIZE)) > 0] = 150
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for name in marks:
        x, y = face.landmarks[name]
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=MARK)
    return np.array(picture)


def place_of(pixels: np.ndarray) -> np.ndarray:
    """(x, y) of the middle of what is red."""
    rows, columns = np.nonzero((pixels[..., 0] > 180) & (pixels[..., 1:].max(2) < 90))
    return np.array([columns.mean(), rows.mean()])


def test_no_pose_is_the_picture() -> None:
    face = face_at(60, 50, 80)
    picture = striped(face, "nose")
    assert posed(picture, face, Pose()) is picture


@pytest.mark.parametrize(("turn", "raised", "sign"), [(16, 0, (1, 0)), (-16, 0, (-1, 0)), (0, 11, (0, -1))])
def test_features_move_and_the_outline_stays(turn: float, raised: float, sign: tuple[int, int]) -> None:
    face = face_at(60, 50, 80)
    for name, least in (("nose", 0.12), ("left pupil", 0.05)):
        picture = striped(face, name)
        result = posed(picture, face, Pose(turn=turn, raised=raised))
        moved = (place_of(result) - face.landmarks[name]) / 40
        assert float(moved @ sign) > least * (1 if turn else 0.6)
        assert abs(float(moved @ sign[::-1])) < 0.04
        outside = head_mask(face, (SIZE, SIZE)) == 0
        assert (result[outside] == picture[outside]).all()


def angle_of(before: np.ndarray, after: np.ndarray) -> float:
    """Clockwise, in degrees."""
    return float(np.degrees(np.arctan2(after[0], -after[1]) - np.arctan2(before[0], -before[1])))


@pytest.mark.parametrize("layered", [True, False])
def test_a_tilted_head_is_one_and_what_it_bares_is_made_up(layered: bool) -> None:
    face = face_at(60, 50, 80)
    if layered:  # somebody told hair and clothes apart
        parts = np.asarray(face.parts).copy()
        parts[150:, :] = PARTS.index("clothes")
        face = Face(face.box, face.score, face.landmarks, parts, face.by)
    picture = striped(face, "nose")
    result = posed(picture, face, Pose(tilt=9))
    chin = np.array(face.landmarks["chin"])
    # About the neck, which is below the chin.
    assert angle_of(place_of(picture) - chin, place_of(result) - chin) == pytest.approx(9, abs=2.5)
    same = (result == picture).all(2)
    assert same[:, :5].all()
    assert same[:20, :20].all()
    assert same[150:].all() == layered
    if layered:
        bared = (head_mask(face, (SIZE, SIZE)) > 0) & ~same & (result[..., 0] < 100)
        assert 150 < bared.sum() < 2000
        assert same[:, :50].all()


def test_what_is_worn_at_the_neck_stays_and_at_the_ears_moves() -> None:
    face = face_at(60, 50, 80)
    parts = np.asarray(face.parts).copy()
    parts[140:150, 90:110] = parts[85:95, 50:58] = PARTS.index("accessory")
    worn = Face(face.box, face.score, face.landmarks, parts, face.by)
    mask = head_mask(worn, (SIZE, SIZE))
    assert mask[90, 54] == 1
    assert mask[145, 100] == 0


def test_hats_keep_their_shape() -> None:
    face = face_at(60, 50, 80)
    parts = np.asarray(face.parts).copy()
    parts[40:62, 55:145] = PARTS.index("hat")
    picture = striped(face)
    picture[parts == PARTS.index("hat")] = (200, 30, 30)
    hatted = Face(face.box, face.score, face.landmarks, parts, face.by)
    hat = parts == PARTS.index("hat")
    for pose in (Pose(turn=16), Pose(raised=11), Pose(raised=-11)):
        assert (posed(picture, hatted, pose)[hat] == picture[hat]).all()


def test_a_face_without_extent_is_refused() -> None:
    flat = dict.fromkeys(face_at(60, 50, 80).landmarks, (50.0, 50.0))
    with pytest.raises(ValueError, match="narrower"):
        posed(np.zeros((100, 100, 3), np.uint8), Face((50, 50, 51, 51), 1.0, flat), Pose(turn=5))


def test_a_sheet_of_poses_alone_asks_no_model(tmp_path: Path) -> None:
    face = face_at(60, 50, 80)
    Image.fromarray(striped(face, "nose")).save(tmp_path / "a.png")
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "none"])
    given = {"image": str(tmp_path / "a.png"), "faces": json.dumps([{"box": list(face.box)}]), "consent": True}
    chosen = ["turned_left", "tilted_right"]
    outcome = run_pipeline("faces.sheet", {**given, "poses": chosen, "columns": 3}, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    assert [record.title for record in outcome.records] == [*(POSES[name][0] for name in chosen), "Sheet", "Measured"]
    rows = outcome.paths[3].read_text().splitlines()
    assert len(rows) == 3
    assert rows[0] == "change,likeness,changed_share"
    assert 0.5 < float(rows[1].split(",")[1]) <= 1
    wrong = run_pipeline("faces.sheet", {**given, "poses": ["upside_down"]}, tmp_path, studio=studio)
    assert wrong.state == "failed"
    assert "poses" in str(wrong.error)
