"""Faces as data: usual places, JSON that a person corrects, regions and masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cv2")

from extensions.faces.finding.choosing import given_faces, ordered
from extensions.faces.finding.face import Face, read_face, similarity
from extensions.faces.pixels.regions import feathered, grown, painted_mask, region_mask
from extensions.faces.vocabulary import LANDMARKS, PARTS, REGIONS, USUAL
from webui.api import ParameterError

SIZE = (200, 160)
finite = st.floats(-50, 50, allow_nan=False)


def test_a_box_alone_gets_every_landmark_where_it_usually_lies() -> None:
    face = read_face({"box": [20, 10, 120, 110]}, SIZE)
    assert set(face.landmarks) == set(LANDMARKS)
    assert face.estimated == set(LANDMARKS)
    assert face.landmarks["nose"] == pytest.approx((20 + 100 * 0.5, 10 + 100 * 0.66))


def test_two_landmarks_place_a_turned_face() -> None:
    # A quarter turn: the eyes lie below one another, so the chin is to the left of them.
    face = read_face({"landmarks": {"left pupil": [100, 40], "right pupil": [100, 84]}}, SIZE)
    assert face.landmarks["chin"][0] < 60
    assert face.landmarks["chin"][1] == pytest.approx(62, abs=1)
    assert "left pupil" not in face.estimated


@given(turn=st.floats(-3, 3), scale=st.floats(0.2, 5), dx=finite, dy=finite)
def test_a_similarity_is_found_again(turn: float, scale: float, dx: float, dy: float) -> None:
    points = np.array([USUAL[n] for n in LANDMARKS])
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    found, shift = similarity(points, points @ matrix.T + (dx, dy))
    assert np.allclose(found, matrix, atol=1e-6)
    assert np.allclose(shift, (dx, dy), atol=1e-5)


def test_what_is_written_is_read_back() -> None:
    parts = np.zeros((160, 200), np.uint8)
    parts[20:100, 30:110] = PARTS.index("skin")
    face = Face((30, 20, 110, 100), 0.9, {"nose": (70.0, 70.0), "chin": (70.0, 100.0)}, parts, "drawn").completed()
    again = given_faces(json.dumps({"faces": [face.told()]}), SIZE)[0]
    assert again.box == face.box
    assert again.estimated == face.estimated
    assert all(again.landmarks[n] == pytest.approx(face.landmarks[n], abs=0.01) for n in LANDMARKS)
    assert face.told()["parts"]["skin"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[", "JSON"),
        ("3", "list"),
        ('[{"box": [1, 2, 3]}]', "face 1: expected a box"),
        ('[{"box": [10, 10, 5, 40]}]', "two pixels"),
        ('[{"box": [500, 500, 600, 600]}]', "outside"),
        ('[{"box": [0, 0, 1e9, 1e9]}]', "outside"),
        ('[{"box": [true, 0, 10, 10]}]', "number"),
        ('[{"landmarks": {"ear": [1, 2], "nose": [3, 4]}}]', "unknown landmark 'ear'"),
        ('[{"box": [1, 1, 50, 50], "landmarks": {"nose": [1e9, 4]}}]', "far outside"),
        ('[{"box": [1, 1, 50, 50], "landmarks": [1]}]', "expected landmarks"),
        ("[" * 3000, "JSON"),
    ],
)
def test_wrong_json_is_told_at_its_field(text: str, word: str) -> None:
    with pytest.raises(ParameterError, match=word) as caught:
        given_faces(text, SIZE)
    assert caught.value.fields[0].name == "faces"


def test_orders() -> None:
    small, large = Face((0, 0, 10, 10), 0.9), Face((50, 0, 90, 40), 0.6)
    assert ordered([small, large], "size") == [large, small]
    assert ordered([large, small], "left") == [small, large]
    assert ordered([large, small], "score") == [small, large]


def test_regions_name_parts() -> None:
    assert {name for names in REGIONS.values() for name in names} <= set(PARTS)
    parts = np.zeros((160, 200), np.uint8)
    parts[40:50, 50:60], parts[60:70, 50:60] = PARTS.index("eye"), PARTS.index("mouth")
    face = Face((40, 30, 80, 80), parts=parts)
    assert region_mask(face, "eyes").sum() == 100
    assert region_mask(face, "mouth").sum() == 100
    assert region_mask(face, "face").sum() == 200
    assert region_mask(face, "background").sum() == 160 * 200 - 200
    with pytest.raises(ValueError, match="no parts"):
        region_mask(Face((0, 0, 9, 9)), "face")


@given(st.integers(0, 2**32 - 1), st.floats(0, 30))
def test_feathering_stays_inside_of_the_mask(seed: int, pixels: float) -> None:
    mask = (np.random.RandomState(seed).rand(24, 31) > 0.3).astype(np.float32)
    soft = feathered(mask, pixels)
    assert (soft[mask == 0] == 0).all()
    assert ((soft >= 0) & (soft <= mask)).all()


def test_growing_and_what_is_painted() -> None:
    from PIL import Image

    mask = np.zeros((30, 30), np.float32)
    mask[10:20, 10:20] = 1
    assert (grown(mask, 3) >= mask).all()
    assert grown(mask, -3).sum() == 16
    painted = Image.new("RGBA", (15, 15), (255, 255, 255, 0))
    painted.paste((255, 255, 255, 255), (0, 0, 5, 15))
    assert painted_mask(painted, (30, 30)).sum() == 10 * 30
