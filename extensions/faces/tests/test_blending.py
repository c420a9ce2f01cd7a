"""Blending: outside of the mask nothing changes, to the bit; inside, colours and gradients are as each way says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from PIL import Image

from extensions.faces.finding.face import Face
from extensions.faces.pixels.blending import blend, harmonic, matched, truly_changed
from extensions.faces.pixels.cutting import around, cut, put_back, taken
from extensions.faces.pixels.regions import reachable

WAYS = ("feather", "poisson", "hard")


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**31),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    share=st.floats(0, 1),
    way=st.sampled_from(WAYS),
    feather=st.floats(0, 12),
    match=st.booleans(),
)
def test_outside_of_the_mask_every_bit_stays(
    seed: int, height: int, width: int, share: float, way: str, feather: float, match: bool
) -> None:
    before, edited = noise(seed, height, width), noise(seed + 1, height, width)
    mask = (np.random.RandomState(seed).rand(height, width) < share).astype(np.float32)
    result = blend(before, edited, mask, way=way, feather=feather, match=match)
    assert result.dtype == np.uint8
    assert (result[mask == 0] == before[mask == 0]).all()


def test_a_lone_pixel_takes_the_mean_of_its_neighbours() -> None:
    values = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    inside = np.zeros((3, 3), bool)
    inside[1, 1] = True
    around = (values[0, 1] + values[2, 1] + values[1, 0] + values[1, 2]) / 4
    assert np.allclose(harmonic(values, inside)[1, 1], around, atol=1e-4)


@given(st.sampled_from(WAYS), st.integers(0, 2**31))
def test_an_edit_that_changes_nothing_changes_nothing(way: str, seed: int) -> None:
    before = noise(seed, 12, 14)
    mask = np.zeros((12, 14), np.float32)
    mask[3:9, 4:11] = 1
    assert (blend(before, before, mask, way=way, feather=2, match=False) == before).all()


def test_poisson_keeps_gradients_and_meets_the_edge() -> None:
    y, x = np.mgrid[:40, :40]
    before = np.repeat((60 + 2 * x)[..., None], 3, 2).astype(np.uint8)
    edited = np.repeat((140 + 2 * x + 30 * ((x - 20) ** 2 + (y - 20) ** 2 < 25))[..., None], 3, 2).astype(np.uint8)
    mask = np.zeros((40, 40), np.float32)
    mask[5:35, 5:35] = 1
    result = blend(before, edited, mask, way="poisson", feather=0, match=False).astype(int)
    # The cast of 80 is gone; the disc of 30 is there.
    assert np.abs(result[6, 6:34] - before[6, 6:34]).max() <= 1
    assert result[20, 20, 0] - before[20, 20, 0] == pytest.approx(30, abs=1)


def test_a_harmonic_function_is_the_mean_of_its_neighbours() -> None:
    values = np.random.RandomState(0).rand(20, 24, 2).astype(np.float32)
    inside = np.zeros((20, 24), bool)
    inside[0:9, 4:15] = True
    found = harmonic(values, inside)
    assert (found[~inside] == values[~inside]).all()
    middle = found[2:8, 5:14]
    mean = (found[1:7, 5:14] + found[3:9, 5:14] + found[2:8, 4:13] + found[2:8, 6:15]) / 4
    assert np.abs(middle - mean).max() < 1e-5


def test_a_colour_cast_is_taken_off() -> None:
    before = noise(3, 30, 30)
    cast = (before.astype(np.float32) * 0.8 + 20).astype(np.uint8)
    mask = np.zeros((30, 30), np.float32)
    mask[10:20, 10:20] = 1
    assert np.abs(matched(cast, before, mask) - before).max() < 2


def test_what_is_only_drawn_again_stays() -> None:
    before = np.full((60, 60, 3), 120, np.uint8)
    edited = before.copy()
    edited[::2] += 6
    edited[20:40, 20:40] = 250
    mask = np.ones((60, 60), np.float32)
    kept = truly_changed(before, edited, mask, 24, 3)
    assert kept[30, 30] == 1
    assert kept[5, 5] == 0
    assert truly_changed(before, before, mask, 24, 3).all()


def test_wrong_shapes_and_ways_are_refused() -> None:
    before = noise(0, 8, 8)
    with pytest.raises(ValueError, match="shapes"):
        blend(before, before[:4], np.ones((8, 8), np.float32), way="hard", feather=0, match=False)
    with pytest.raises(ValueError, match="feather, poisson"):
        blend(before, before, np.ones((8, 8), np.float32), way="soft", feather=0, match=False)


@given(
    width=st.integers(8, 60), height=st.integers(8, 60), x=st.integers(-10, 60), y=st.integers(-10, 60),
    size=st.integers(3, 80), margin=st.floats(0, 3),
)  # fmt: skip
def test_a_cut_out_put_back_is_the_picture(width: int, height: int, x: int, y: int, size: int, margin: float) -> None:
    picture = Image.fromarray(noise(width * 61 + height, height, width))
    where = around(Face((x, y, x + size, y + size)), picture.size, margin)
    square = cut(picture, where, where.side)
    assert square.size == (where.side, where.side)
    assert (np.asarray(put_back(picture, square, where)) == np.asarray(picture)).all()
    assert taken(np.zeros((height, width), np.float32), where).shape == (where.side, where.side)


@pytest.mark.parametrize("region", ["eyes", "mouth", "hat", "hair", "clothes", "face", "head"])
def test_regions_reach_where_they_may_come_to_be(region: str) -> None:
    face = Face((60, 60, 120, 140)).completed()
    reach = reachable(face, region, (220, 180))
    assert 100 < reach.sum() < 0.95 * reach.size
    points = {"eyes": "left pupil", "mouth": "upper lip", "face": "nose", "head": "nose"}
    if region in points:
        x, y = (int(v) for v in face.landmarks[points[region]])
        assert reach[y, x] == 1
    if region == "hat":
        assert reach[55, 90] == 1
    if region == "clothes":
        assert reach[170, 90] == 1
