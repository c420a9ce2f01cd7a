"""Swaps, expressions and sheets: warps take landmarks to landmarks, and as jobs they say what they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch")
pytest.importorskip("cv2")

from extensions.faces.finding.face import Face, read_face
from extensions.faces.finding.photographs import with_oval
from extensions.faces.params_mixing import ExpressionParams
from extensions.faces.pipelines.expression import with_expression
from extensions.faces.pixels.laying import laid_in, laid_over, taken_mask
from extensions.faces.pixels.sheets import matrix
from extensions.faces.pixels.warping import expression_shifts, into_place, moved
from extensions.faces.vocabulary import PARTS
from webui.testing import make_studio, run_pipeline


def face_at(x: float, y: float, size: float, picture: tuple[int, int] = (200, 200)) -> Face:
    return with_oval(read_face({"box": [x, y, x + size, y + size]}, picture), picture)


def marked(face: Face, colour: tuple[int, int, int], size: tuple[int, int] = (200, 200)) -> Image.Image:
    picture = Image.new("RGB", size, (120, 120, 120))
    draw = ImageDraw.Draw(picture)
    draw.ellipse(face.box, fill=colour)
    for name in ("left pupil", "right pupil"):
        x, y = face.landmarks[name]
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(0, 0, 0))
    return picture


def test_a_face_comes_to_the_place_of_another() -> None:
    theirs, ours = face_at(20, 30, 60), face_at(80, 60, 100)
    placed = into_place(np.asarray(marked(theirs, (250, 200, 150))), theirs, ours, (200, 200))
    for name in ("left pupil", "right pupil"):
        x, y = (round(v) for v in ours.landmarks[name])
        assert placed[y, x].max() < 40
    x, y = (round(v) for v in ours.landmarks["nose"])
    assert np.abs(placed[y, x].astype(int) - (250, 200, 150)).max() < 12


def test_nothing_moves_without_a_shift() -> None:
    picture = np.random.RandomState(0).randint(0, 256, (60, 70, 3)).astype(np.uint8)
    points = np.array([[10, 10], [50, 12], [30, 40], [20, 50.0]])
    assert (moved(picture, points, np.zeros_like(points)) == picture).all()


def test_what_is_moved_arrives() -> None:
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[48:53, 38:43] = 0
    points = np.array([[40.0, 50.0], [10, 10], [90, 10], [90, 90], [10, 90]])
    shifts = np.zeros_like(points)
    shifts[0] = (12, 0)
    result = moved(picture, points, shifts)
    assert result[50, 52].max() < 60
    assert result[50, 38].min() > 200


def swapped(picture: Image.Image, ours: Face, other: Image.Image, theirs: Face, **more: Any) -> np.ndarray:
    laid = laid_over(picture, ours, other, theirs, "face", more.get("match_colours", False))
    return np.asarray(laid_in(picture, laid, ours, "feather", more.get("strength", 1.0)))


def test_a_swap_changes_the_face_alone() -> None:
    ours, theirs = face_at(60, 50, 90), face_at(30, 30, 70)
    picture, other = marked(ours, (240, 190, 150)), marked(theirs, (180, 120, 90))
    result = swapped(picture, ours, other, theirs)
    mask = taken_mask(ours, "face", (200, 200))
    assert (result[mask == 0] == np.asarray(picture)[mask == 0]).all()
    x, y = (round(v) for v in ours.landmarks["nose"])
    assert np.abs(result[y, x].astype(int) - (180, 120, 90)).max() < 10
    toned = swapped(picture, ours, other, theirs, match_colours=True)
    assert np.abs(toned[y, x].astype(int) - (240, 190, 150)).max() < 12
    # Black pupils are no skin: they stay black where all else grows lighter.
    x, y = (round(v) for v in ours.landmarks["left pupil"])
    assert toned[y, x].max() < 40
    none = swapped(picture, ours, other, theirs, strength=0.0)
    assert (none == np.asarray(picture)).all()


def bearded(face: Face, skin: tuple[int, int, int], beard: tuple[int, int, int]) -> tuple[Image.Image, Face]:
    """The picture of ``marked`` with a beard down to the outline, and the face with it among its parts."""
    picture, parts = np.array(marked(face, skin)), np.asarray(face.parts).copy()
    low = (parts == PARTS.index("skin")) & (np.arange(200)[:, None] > face.landmarks["nose"][1] + 4)
    picture[low], parts[low] = beard, PARTS.index("beard")
    return Image.fromarray(picture), Face(face.box, face.score, face.landmarks, parts, face.by)


def test_a_beard_gives_way_to_a_face_without_one_and_tells_nothing_of_skin() -> None:
    skin, green = (240, 190, 150), (20, 160, 60)
    picture, ours = bearded(face_at(60, 50, 90), skin, green)
    theirs = face_at(30, 30, 70)
    result = swapped(picture, ours, marked(theirs, (180, 120, 90)), theirs, match_colours=True).astype(int)
    was = (np.asarray(picture) == green).all(2)
    assert was.sum() > 1000
    assert np.abs(result[was] - skin).max(1).mean() < 12
    assert (np.abs(result[was] - green).max(1) < 60).mean() < 0.02


def test_an_expression_is_taken_and_no_more() -> None:
    ours = face_at(50, 40, 100)
    smile = {name: list(point) for name, point in face_at(20, 20, 100).landmarks.items()}
    smile["lower lip"] = [smile["lower lip"][0], smile["lower lip"][1] + 18]
    theirs = read_face({"box": [20, 20, 120, 120], "landmarks": smile}, (200, 200))
    shifts, gap = expression_shifts(ours, theirs, eyes=True, mouth=True, strength=1.0)
    assert max(float(np.linalg.norm(v)) for v in shifts.values()) < 0.5
    assert gap == pytest.approx(20, abs=0.5)
    picture = marked(ours, (240, 190, 150))
    params = ExpressionParams(image="", source="", consent=True)
    result = np.asarray(with_expression(picture, ours, theirs, params))
    x, y = (round(v) for v in ours.landmarks["upper lip"])
    assert result[y + 8, x].max() < 160
    same = with_expression(picture, ours, ours, params)
    assert (np.asarray(same) == np.asarray(picture)).all()


def test_a_matrix_has_a_cell_for_each() -> None:
    cell = Image.new("RGB", (50, 80), (10, 20, 30))
    sheet = matrix([[cell, cell], [cell]], ["a", "b"], ["one", "two"])
    dark = (np.asarray(sheet) == (10, 20, 30)).all(2)
    assert dark.sum() >= 3 * 120 * 192 * 0.98


def test_swaps_and_expressions_as_jobs(tmp_path: Path) -> None:
    ours, theirs = face_at(60, 50, 90), face_at(30, 30, 70)
    marked(ours, (240, 190, 150)).save(tmp_path / "a.png")
    marked(theirs, (180, 120, 90)).save(tmp_path / "b.png")
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "none"])
    given = {
        "image": str(tmp_path / "a.png"),
        "source": str(tmp_path / "b.png"),
        "faces": json.dumps([{"box": list(ours.box)}]),
        "source_faces": json.dumps([{"box": list(theirs.box)}]),
        "consent": True,
    }
    for pipeline in ("faces.swap", "faces.expression"):
        outcome = run_pipeline(pipeline, given, tmp_path, studio=studio)
        assert outcome.state == "done", outcome.error
        told = json.loads(outcome.paths[2].read_text())
        assert -1 <= told["likeness_to_picture"] <= 1
        assert [image.size for image in outcome.images[:1]] == [(200, 200)]
    wrong = run_pipeline("faces.swap", {**given, "swapper": "faces.find"}, tmp_path, studio=studio)
    assert wrong.state == "failed" or wrong.images
    sheet = run_pipeline("faces.sheet", {"consent": True, "changes": ["fez"]}, tmp_path, studio=studio)
    assert sheet.state == "failed"
    assert "changes" in str(sheet.error)
