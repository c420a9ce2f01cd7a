"""The drawing world: the same seed gives the same person, and picture, labels and caption agree about them."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from extensions.starter.dataset import write_image_folder
from extensions.starter.world import SPEC, Avatar, caption, draw_avatar, feature_mask, sample_avatar, visible
from extensions.starter.world.draw import pose_of
from extensions.starter.world.palette import BACKGROUNDS, CLOTHES

PEOPLE = [sample_avatar(s) for s in range(400)]


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def difference(a: Image.Image, b: Image.Image, box: tuple[int, int, int, int]) -> float:
    return max(ImageStat.Stat(ImageChops.difference(a, b).crop(box)).mean)


def test_same_seed_same_bytes() -> None:
    first = [digest(draw_avatar(sample_avatar(s))) for s in range(20)]
    assert first == [digest(draw_avatar(sample_avatar(s))) for s in range(20)]
    assert len(set(first)) == 20


def test_a_seed_keeps_its_person() -> None:
    # Data sets are named by their seeds: a change here changes what every seed means.
    assert [getattr(sample_avatar(7), n) for n in SPEC] == SEVEN


SEVEN = ["dark", "short", "red", "surprised", "brown", "glasses", "none", "beard", "white", "pink"]


@pytest.mark.parametrize("size", [16, 64, 128, 200])
def test_any_size(size: int) -> None:
    assert draw_avatar(PEOPLE[0], size).size == (size, size)
    assert feature_mask(PEOPLE[0], size).size == (size, size)


def test_sizes_show_the_same_picture() -> None:
    small, large = draw_avatar(PEOPLE[3], 64), draw_avatar(PEOPLE[3], 256).reduce(4)
    assert difference(small, large, (0, 0, 64, 64)) < 4


@pytest.mark.parametrize("size", [0, 15, 4097])
def test_refuses_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="expected 16 to 4096"):
        draw_avatar(PEOPLE[0], size)


def test_refuses_unknown_values() -> None:
    with pytest.raises(ValueError, match=r"'hat'.*expected one of none, cap.*'bucket'"):
        Avatar(hat="bucket")


def test_every_value_is_drawn_and_shares_are_independent() -> None:
    people = [sample_avatar(s) for s in range(4000)]
    for name, values in SPEC.items():
        counts = Counter(getattr(p, name) for p in people)
        assert set(counts) == set(values)
    both = sum(p.eyewear == "glasses" and p.hat == "none" for p in people) / 4000
    apart = sum(p.eyewear == "glasses" for p in people) * sum(p.hat == "none" for p in people) / 4000**2
    assert both == pytest.approx(apart, abs=0.02)


@pytest.mark.parametrize("name", list(SPEC))
def test_each_attribute_changes_the_picture(name: str) -> None:
    person = Avatar()
    pictures = {digest(draw_avatar(person.with_(**{name: value}))) for value in SPEC[name]}
    assert len(pictures) == len(SPEC[name])


def test_colours_are_where_labels_say() -> None:
    for person in PEOPLE[:50]:
        picture = draw_avatar(person)
        assert (
            max(abs(a - b) for a, b in zip(picture.getpixel((2, 2)), BACKGROUNDS[person.background], strict=True)) < 6
        )
        assert max(abs(a - b) for a, b in zip(picture.getpixel((64, 124)), CLOTHES[person.clothes], strict=True)) < 6


def test_mask_covers_what_features_change() -> None:
    person = Avatar(eyewear="glasses", pose=3)
    mask = feature_mask(person)
    changed = ImageChops.difference(draw_avatar(person), draw_avatar(person.with_(mood="angry", eyes="green"))).convert(
        "L"
    )
    changed = changed.point(lambda v: 255 if v > 24 else 0)
    outside = ImageChops.subtract(changed, mask)
    assert ImageStat.Stat(outside).sum[0] <= 0.05 * ImageStat.Stat(changed).sum[0]
    assert 0.03 < ImageStat.Stat(mask).mean[0] / 255 < 0.25


def test_pose_is_not_an_attribute() -> None:
    person = sample_avatar(5)
    assert pose_of(person) == pose_of(person.with_(hat="cap"))
    assert person.with_(hat="cap").pose == person.pose


def test_hidden_attributes_have_no_label() -> None:
    assert Avatar(eyewear="sunglasses").labels()["eyes"] == -1
    assert Avatar(hair_style="bald").labels()["hair_colour"] == -1
    assert visible(Avatar(hair_style="bald", beard="beard"))["hair_colour"]


SYNONYMS = {"blond": "blonde?", "grey": "gr[ae]y", "mustache": "mou?stache", "glasses": "(eye)?glasses"}


def test_captions_name_what_they_settle() -> None:
    for seed, person in enumerate(PEOPLE):
        said = caption(person, seed)
        assert said == caption(person, seed)
        assert said.settles <= {n for n, shown in visible(person).items() if shown}
        for name in ("hair_colour", "eyes", "clothes", "background"):
            value = getattr(person, name)
            if name in said.settles:
                assert re.search(rf"\b{SYNONYMS.get(value, value)}\b", said.text), (name, said.text)
        if person.eyewear == "glasses" and "eyewear" in said.settles:
            assert re.search(r"\b(eye)?glasses\b", said.text)
        if person.hat == "none":
            assert not re.search(r"\b(cap|beanie|crown)\b", said.text)
            assert "hat" in said.settles


def test_full_captions_settle_all_that_shows() -> None:
    for seed, person in enumerate(PEOPLE[:100]):
        shown = {n for n, yes in visible(person).items() if yes}
        assert caption(person, seed, full=True).settles == shown


def test_captions_vary() -> None:
    assert len({caption(PEOPLE[0], s).text for s in range(50)}) > 40


def test_image_folder(tmp_path: Path) -> None:
    rows = [
        json.loads(line) for line in write_image_folder(tmp_path, samples=3, seed=40, size=32).read_text().splitlines()
    ]
    assert [r["file_name"] for r in rows] == ["00000040.png", "00000041.png", "00000042.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [*(r["file_name"] for r in rows), "metadata.jsonl"]
    with Image.open(tmp_path / "00000041.png") as picture:
        assert digest(picture) == digest(draw_avatar(sample_avatar(41), 32))
    assert rows[1]["attributes"]["background"] == sample_avatar(41).background
