"""Colours against published values, damage that repeats, and filters that undo it without weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from extensions.restoration.classical import cleaning, mending
from extensions.restoration.pictures import degrading
from extensions.restoration.pictures.arrays import Pixels, psnr_db, to_picture, to_pixels
from extensions.restoration.pictures.colour import colour_distance, from_lab, to_lab
from extensions.restoration.pictures.degrading import Damage, degrade


def painted(side: int = 96) -> Pixels:
    """Soft colours with a disc and a bar: edges, flat places and slopes."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float32) / side
    picture = np.stack([0.3 + 0.4 * x, 0.6 - 0.3 * y, 0.4 + 0.2 * x * y], axis=-1)
    picture[np.hypot(x - 0.5, y - 0.4) < 0.25] = (0.8, 0.3, 0.2)
    picture[int(0.8 * side) :, :] = (0.15, 0.35, 0.2)
    return picture.astype(np.float32)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_has_its_published_values(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    assert to_lab(np.float32(rgb)) == pytest.approx(lab, abs=0.02)


@given(some.lists(some.floats(0, 1, width=32), min_size=3, max_size=3))
def test_lab_and_back_is_the_same_colour(rgb: list[float]) -> None:
    assert from_lab(to_lab(np.float32(rgb))) == pytest.approx(rgb, abs=2e-3)


def test_a_picture_survives_arrays() -> None:
    picture = to_picture(painted())
    assert to_picture(to_pixels(picture)).tobytes() == picture.tobytes()
    assert psnr_db(painted(), painted()) == 100
    assert colour_distance(painted(), painted()) < 1e-4
    with pytest.raises(ValueError, match="one size"):
        psnr_db(painted(32), painted(33))


@given(
    some.builds(Damage, *[some.floats(0, 1)] * 5),
    some.integers(0, 2**63 - 1),
)
def test_damage_repeats_and_stays_in_range(damage: Damage, seed: int) -> None:
    small = painted(33)
    made, scratched = degrade(small, damage, seed)
    again, same = degrade(small, damage, seed)
    assert made.shape == small.shape
    assert made.dtype == np.float32
    assert 0 <= made.min() <= made.max() <= 1
    assert made.tobytes() == again.tobytes()
    assert scratched.tobytes() == same.tobytes()
    assert scratched.any() <= (damage.scratches > 0)


@pytest.mark.parametrize("kind", ["noise", "jpeg", "blur", "fading", "scratches"])
def test_more_damage_is_worse_and_none_is_none(kind: str) -> None:
    picture = painted()
    scores = [psnr_db(degrade(picture, Damage(**{kind: s}), 3)[0], picture) for s in (0, 0.3, 0.9)]
    assert scores[0] == 100
    assert scores[0] > scores[1] > scores[2]


def test_scratches_are_where_the_mask_says() -> None:
    picture = painted()
    made, scratched = degrade(picture, Damage(scratches=0.7), 5)
    assert 0.01 < scratched.mean() < 0.5
    changed = np.abs(made - picture).max(axis=-1) > 0.2
    assert (changed & ~scratched).mean() < 0.002


@pytest.mark.parametrize("method", ["telea", "ns"])
def test_holes_are_filled_from_around_and_the_rest_stays_bit_by_bit(method: str) -> None:
    picture = painted()
    made, scratched = degrade(picture, Damage(scratches=0.7), 5)
    filled = mending.filled(made, scratched, method)
    assert filled[~scratched].tobytes() == made[~scratched].tobytes()
    assert psnr_db(filled, picture) > psnr_db(made, picture) + 4
    assert mending.filled(made, np.zeros_like(scratched)) is made


def test_thin_lines_are_found_and_edges_are_not() -> None:
    picture = painted(160)
    made = picture.copy()
    made[:, 40:42], made[100:102, :] = 0.95, 0.02
    scratched = (made != picture).any(axis=-1)
    found = mending.thin_lines(made, 0.7)
    assert (found & scratched).sum() > 0.8 * scratched.sum()
    assert mending.thin_lines(picture, 0.7).mean() < 0.01


@pytest.mark.parametrize(
    ("mend", "damage"),
    [
        (cleaning.denoised, Damage(noise=0.5)),
        (cleaning.sharpened, Damage(blur=0.5)),
    ],
)
def test_each_filter_mends_its_own_damage(mend: object, damage: Damage) -> None:
    picture = painted()
    made, _ = degrade(picture, damage, 1)
    mended = mend(made, 0.5)  # type: ignore[operator]
    assert psnr_db(mended, picture) > psnr_db(made, picture) + 1
    assert mend(made, 0.0) == pytest.approx(made)  # type: ignore[operator]


def test_fading_is_stretched_back_to_black_and_white() -> None:
    picture = painted()
    picture = (picture - picture.min(axis=(0, 1))) / (picture.max(axis=(0, 1)) - picture.min(axis=(0, 1)))
    made, _ = degrade(picture, Damage(fading=0.5), 1)
    assert psnr_db(cleaning.unfaded(made, 1.0), picture) > psnr_db(made, picture) + 3
    assert cleaning.unfaded(made, 0.0) == pytest.approx(made)


def test_local_contrast_changes_the_lightness_alone() -> None:
    picture = painted() * np.float32(0.4) + np.float32(0.3)
    made = cleaning.with_local_contrast(picture, 1.0)
    assert to_lab(made)[..., 0].std() > to_lab(picture)[..., 0].std()
    assert np.abs(to_lab(made)[..., 1:] - to_lab(picture)[..., 1:]).mean() < 1


def test_jpeg_levels_reach_from_good_to_bad() -> None:
    assert [degrading.jpeg_quality(s) for s in (0, 1)] == [degrading.JPEG_BEST, degrading.JPEG_WORST]
