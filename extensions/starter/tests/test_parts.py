"""Parts and landmarks of drawn faces: they lie where the picture shows them, and training data agrees with itself."""

from __future__ import annotations

import numpy as np
import pytest

from extensions.starter.faces_data import MIRRORED, face_example
from extensions.starter.world import Avatar, draw_avatar, sample_rich_avatar
from extensions.starter.world.features import Mouth
from extensions.starter.world.parts import LANDMARKS, PARTS, face_box, landmarks, part_map


def at(avatar: Avatar, name: str, mouth: Mouth | None = None, size: int = 256) -> tuple[int, int]:
    x, y = landmarks(avatar, size, mouth)[LANDMARKS.index(name)]
    return int(x), int(y)


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_lie_in_their_parts(seed: int) -> None:
    avatar = sample_rich_avatar(seed).with_(mood="laughing", eyewear="none", hat="none", age="adult")
    parts = np.asarray(part_map(avatar, 256))
    for name, part in (("left pupil", "eye"), ("right pupil", "eye"), ("nose", "nose"), ("left brow middle", "brow")):
        x, y = at(avatar, name)
        assert part in {PARTS[v] for v in parts[y - 2 : y + 3, x - 2 : x + 3].ravel()}, name
    left, top, right, bottom = face_box(avatar, 256)
    assert left < at(avatar, "left pupil")[0] < at(avatar, "right pupil")[0] < right
    assert top < at(avatar, "left brow middle")[1] < at(avatar, "chin")[1] <= bottom + 1


def test_what_is_not_worn_is_no_part() -> None:
    plain = Avatar(hair_style="bald", beard="none", eyewear="none", hat="none")
    shown = {PARTS[v] for v in np.unique(np.asarray(part_map(plain)))}
    assert shown == {"background", "skin", "brow", "eye", "nose", "mouth", "neck", "clothes"}
    dressed = plain.with_(hair_style="long", beard="mustache", eyewear="sunglasses", hat="crown", accessory="scarf")
    assert {PARTS[v] for v in np.unique(np.asarray(part_map(dressed)))} == set(PARTS) - {"eye"}


def test_a_change_of_one_part_changes_its_pixels_alone() -> None:
    avatar = Avatar(mood="neutral", pose=5)
    other = avatar.with_(clothes="red")
    difference = (np.asarray(draw_avatar(avatar)) != np.asarray(draw_avatar(other))).any(2)
    clothes = np.asarray(part_map(avatar)) == PARTS.index("clothes")
    # A pixel at an edge is a mean over parts.
    near = np.pad(clothes, 1)
    near = np.any([near[y : y + 128, x : x + 128] for y in range(3) for x in range(3)], axis=0)
    assert difference.sum() > 500
    assert not (difference & ~near).any()


@pytest.mark.parametrize("opening", [0.0, 3.0, 6.0, 12.0])
def test_lips_are_as_far_apart_as_the_mouth_is_open(opening: float) -> None:
    mouth, avatar = Mouth(18, opening), Avatar(pose=3)
    upper, lower = (np.array(landmarks(avatar, 128, mouth)[LANDMARKS.index(n)]) for n in ("upper lip", "lower lip"))
    assert np.linalg.norm(lower - upper) == pytest.approx(opening, rel=0.05)
    x, y = at(avatar, "upper lip", mouth)
    assert PARTS[np.asarray(part_map(avatar, 256, mouth))[y, x]] == "mouth"


def test_mirroring_names_is_its_own_inverse() -> None:
    assert [MIRRORED[i] for i in MIRRORED] == list(range(len(LANDMARKS)))
    assert LANDMARKS[MIRRORED[LANDMARKS.index("mouth left")]] == "mouth right"


def test_examples_are_a_function_of_their_seed() -> None:
    kinds = set()
    for seed in range(12):
        one, again = face_example(seed, 64), face_example(seed, 64)
        assert (one.picture == again.picture).all()
        assert (one.parts == again.parts).all()
        assert one.boxes == again.boxes
        portrait = not np.isnan(one.landmarks).any()
        kinds.add(portrait)
        if portrait:
            left, top, right, bottom = one.boxes[0]
            x, y = one.landmarks[LANDMARKS.index("nose")]
            assert left < x < right
            assert top < y < bottom
            xs = one.landmarks[[LANDMARKS.index("left pupil"), LANDMARKS.index("right pupil")], 0]
            assert xs[0] < xs[1]
    assert kinds == {True, False}
