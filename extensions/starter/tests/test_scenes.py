"""Scenes of the drawing world: the same seed gives the same place, and picture, labels and captions agree about it."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from itertools import combinations

import pytest
from PIL import Image, ImageChops, ImageStat

from extensions.starter.world import (
    LANGUAGES,
    SCENE_SPEC,
    SPECS,
    Scene,
    describe,
    draw,
    edit,
    feature_mask,
    heads,
    line_drawing,
    sample,
    sample_scene,
)
from extensions.starter.world.scene_draw import layout_of
from extensions.starter.world.scene_light import WALLS

SCENES = [sample_scene(s) for s in range(300)]
# Every attribute is in sight in this scene, and every value of each may take the place of its own.
ALL_IN_SIGHT = Scene(animal="cat", aloft="balloon", weather="clouds", time="dusk", pose=5)


def digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def changed_share(a: Image.Image, b: Image.Image) -> float:
    """Share of pixels that differ by more than a shade."""
    seen = ImageChops.difference(a, b).convert("L").point(lambda v: 255 if v > 12 else 0)
    return ImageStat.Stat(seen).mean[0] / 255


def test_same_seed_same_bytes() -> None:
    first = [digest(draw(sample_scene(s))) for s in range(12)]
    assert first == [digest(draw(sample_scene(s))) for s in range(12)]
    assert len(set(first)) == 12


def test_a_seed_keeps_its_place() -> None:
    # Data sets are named by their seeds: a change here changes what every seed means.
    assert [getattr(sample_scene(7), n) for n in SCENE_SPEC] == SEVEN


SEVEN = ["sea", "none", "pink", "palm", "none", "moon", "none", "clear", "spring", "night", "pixel"]


@pytest.mark.parametrize("size", [16, 100, 128])
def test_any_size(size: int) -> None:
    for drawn in (draw, line_drawing, feature_mask):
        assert drawn(SCENES[0], size).size == (size, size)


@pytest.mark.parametrize("style", SCENE_SPEC["style"])
def test_sizes_show_the_same_picture(style: str) -> None:
    scene = SCENES[3].with_(style=style)
    small, large = draw(scene, 64).resize((16, 16)), draw(scene, 256).resize((16, 16))
    assert max(ImageStat.Stat(ImageChops.difference(small, large)).mean) < 12


@pytest.mark.parametrize("size", [0, 15, 4097])
def test_refuses_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="scene size: expected 16 to 4096"):
        draw(SCENES[0], size)


def test_refuses_unknown_values() -> None:
    with pytest.raises(ValueError, match=r"'weather'.*expected one of clear, clouds.*'hail'"):
        Scene(weather="hail")


def test_every_value_is_drawn_and_shares_are_independent() -> None:
    scenes = [sample_scene(s) for s in range(3000)]
    for name, values in SCENE_SPEC.items():
        assert set(Counter(getattr(s, name) for s in scenes)) == set(values)
    both = sum(s.kind == "sea" and s.weather == "rain" for s in scenes) / 3000
    apart = sum(s.kind == "sea" for s in scenes) * sum(s.weather == "rain" for s in scenes) / 3000**2
    assert both == pytest.approx(apart, abs=0.02)


def test_the_sun_never_stands_in_the_night() -> None:
    assert not any((s.time, s.body) in {("day", "moon"), ("night", "sun")} for s in SCENES)
    assert Scene(time="day", body="sun").with_(time="night").body == "moon"
    assert Scene(time="night", body="moon").with_(body="sun").time == "day"
    assert Scene(time="night", body="none").with_(time="day").body == "none"


@pytest.mark.parametrize("style", ["flat", "pixel"])
@pytest.mark.parametrize("name", [n for n in SCENE_SPEC if n != "style"])
def test_values_differ_in_sight(name: str, style: str) -> None:
    scene = ALL_IN_SIGHT.with_(style=style)
    assert scene.labels()[name] >= 0
    pictures = [draw(scene.with_(**{name: value}), 64) for value in SCENE_SPEC[name]]
    assert min(changed_share(a, b) for a, b in combinations(pictures, 2)) > 0.008


def test_hidden_attributes_do_not_change_the_picture() -> None:
    hidden = [
        (Scene(building="none"), "building_colour"),
        (Scene(kind="desert", trees="round"), "season"),
        (Scene(kind="desert", trees="pine"), "season"),
        (Scene(style="sketch", building="none", time="dusk"), "building_colour"),
    ]
    for scene, name in hidden:
        assert scene.labels()[name] == -1
        assert len({digest(draw(scene.with_(**{name: v}), 64)) for v in SCENE_SPEC[name]}) == 1


def test_sketches_have_no_colours() -> None:
    labels = Scene(style="sketch").labels()
    assert [n for n, i in labels.items() if i < 0] == ["building_colour", "season", "time"]
    assert draw(Scene(style="sketch", time="day")).tobytes() == draw(Scene(style="sketch", time="dusk")).tobytes()
    assert Scene(style="sketch", body="moon", time="night").labels()["time"] >= 0
    assert ImageStat.Stat(draw(Scene(style="sketch")).convert("HSV")).mean[1] < 25


def test_walls_have_the_colour_that_labels_say() -> None:
    for colour, expected in WALLS.items():
        scene = Scene(building="castle", building_colour=colour)
        layout = layout_of(scene)
        x, y = layout.building[0] + 17, layout.building[1] - 9
        got = draw(scene, 256).getpixel((round(2 * (128 - x if layout.mirrored else x)), round(2 * y)))
        assert isinstance(got, tuple)
        assert max(abs(a - b) for a, b in zip(got, expected, strict=True)) < 6


def test_line_drawings_are_the_same_for_every_style() -> None:
    drawn = {digest(line_drawing(SCENES[8].with_(style=style), 64)) for style in SCENE_SPEC["style"]}
    assert len(drawn) == 1
    lines = line_drawing(Scene())
    assert lines.getextrema()[0][0] < 60
    assert 0.02 < 1 - ImageStat.Stat(lines).mean[0] / 255 < 0.3


def test_the_mask_covers_what_stands_there() -> None:
    for name in ("building", "animal", "body", "aloft"):
        scene = ALL_IN_SIGHT
        changed = ImageChops.difference(draw(scene), draw(scene.with_(**{name: "none"}))).convert("L")
        changed = changed.point(lambda v: 255 if v > 24 else 0)
        outside = ImageChops.subtract(changed, feature_mask(scene))
        assert ImageStat.Stat(outside).sum[0] <= 0.05 * ImageStat.Stat(changed).sum[0], name


def test_the_pose_is_no_attribute() -> None:
    assert layout_of(SCENES[5]) == layout_of(SCENES[5].with_(weather="rain"))


NAMES = {
    "en": {
        "trees": {"pine": r"pines?|fir", "palm": r"palms?", "round": r"trees"},
        "time": {"dusk": r"dusk|twilight|evening", "night": "night"},
        "weather": {
            "clouds": r"cloudy|clouds",
            "rain": r"rainy|rain|raining",
            "snow": r"snowy|snow|snowing|snowflakes",
        },
        "animal": {"sheep": "sheep", "cat": "cat", "rabbit": r"rabbit|bunny"},
        "season": {"spring": "spring", "summer": "summer", "autumn": r"autumn|fall", "winter": "winter"},
        "building_colour": {c: c for c in SCENE_SPEC["building_colour"]},
    },
    "zh": {
        "trees": {"pine": "松树|杉树", "palm": "棕榈树|椰子树", "round": "几棵树|树木|阔叶树"},
        "time": {"dusk": "黄昏|傍晚", "night": "夜"},
        "weather": {"clouds": "云", "rain": "雨", "snow": "下着雪|下雪|雪花"},
        "animal": {"sheep": "羊", "cat": "猫", "rabbit": "兔"},
        "season": {"spring": "春", "summer": "夏", "autumn": "秋", "winter": "冬"},
        "building_colour": {"red": "红", "yellow": "黄", "blue": "蓝", "white": "白色", "pink": "粉"},
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_name_what_they_settle(language: str) -> None:
    for seed, scene in enumerate(SCENES):
        said = describe(scene, seed, language=language)
        assert said == describe(scene, seed, language=language)
        assert said.settles <= {n for n, i in scene.labels().items() if i >= 0}
        assert scene.style == "flat" or "style" in said.settles
        for name, phrases in NAMES[language].items():
            pattern = phrases.get(getattr(scene, name))
            if pattern and name in said.settles:
                assert re.search(rf"\b({pattern})\b" if language == "en" else pattern, said.text), (name, said.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_captions_name_nothing_that_is_not_there(language: str) -> None:
    for seed, scene in enumerate(SCENES):
        text = describe(scene, seed, language=language).text
        for name in ("season", "time", "animal"):
            for value, pattern in NAMES[language][name].items():
                # "falling rain" and 雪山 are no season; \b keeps "fall" apart.
                if value != getattr(scene, name):
                    found = re.search(rf"\b({pattern})\b" if language == "en" else pattern, text)
                    assert not found, (name, value, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_full_captions_settle_all_that_shows(language: str) -> None:
    for seed, scene in enumerate(SCENES[:100]):
        shown = {n for n, i in scene.labels().items() if i >= 0}
        assert describe(scene, seed, full=True, language=language).settles == shown


def test_captions_vary() -> None:
    for language in LANGUAGES:
        assert len({describe(ALL_IN_SIGHT, s, language=language).text for s in range(50)}) > 40


def test_domains_share_one_face() -> None:
    domains = Counter(sample(s).domain for s in range(400))
    assert set(domains) == set(SPECS)
    assert min(domains.values()) > 150
    assert {"style", "scene.kind"} <= set(heads())
    assert "scene.style" not in heads()
    with pytest.raises(ValueError, match="expected one of avatar, scene; got 'animal'"):
        sample(0, "animal")
    with pytest.raises(TypeError, match="expected a subject of avatar, scene; got int"):
        draw(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_edits_change_what_they_name(language: str) -> None:
    for seed, scene in enumerate(SCENES):
        pair = edit(scene, seed, language)
        before, after = pair.before.labels(), pair.after.labels()
        assert pair.instruction
        assert all(before[n] != after[n] and after[n] >= 0 for n in pair.changed)
        # The sun or moon follows the hour, and a building that comes brings its colour.
        follows = {"time": "body", "body": "time", "building": "building_colour", "kind": "season"}
        others = {n for n in before if before[n] != after[n]} - pair.changed - {follows.get(n) for n in pair.changed}
        assert not others - ({"building_colour", "season", "time"} if "style" in pair.changed else set()), pair
