"""Accuracy by attribute and by group, on pictures whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from extensions.metrics.pictures.attributes import Judged, by_attribute, groups, mean_of_attributes


def picture(asked: str, seen: str) -> Judged:
    """``"skin=dark hat=cap"``."""
    sides = [dict(word.split("=") for word in text.split()) for text in (asked, seen)]
    return Judged(*sides)


def test_each_attribute_counts_where_it_was_asked_for() -> None:
    told = [picture("a=x b=y", "a=x b=z"), picture("a=x", "a=x b=y"), picture("", "a=x b=y")]
    found = by_attribute(told)
    assert {name: (one.value, count) for name, (one, count) in found.items()} == {"a": (1.0, 2), "b": (0.0, 1)}
    assert [one.accuracy for one in told] == [0.5, 1.0, None]
    assert told[0].wrong == ["b: y asked, z seen"]


def test_the_mean_counts_each_attribute_the_same() -> None:
    told = [picture("a=x b=y", "a=x b=y")] * 3 + [picture("a=x", "a=y b=y")]
    mean = mean_of_attributes(told, 0)
    assert mean.value == pytest.approx((3 / 4 + 1) / 2)
    assert mean.low < mean.value < mean.high
    assert mean == mean_of_attributes(told, 0)
    with pytest.raises(ValueError):
        mean_of_attributes([picture("", "a=x")], 0)


def people(rates: dict[str, float], count: int, seed: int) -> list[Judged]:
    """Skin is always right; ten other attributes are right as often as the skin's rate says."""
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(count):
        skin = str(rng.choice(list(rates)))
        asked = {"skin": skin, **{f"a{place}": "yes" for place in range(10)}}
        seen = {name: "yes" if rng.random() < rates[skin] else "no" for name in asked}
        told.append(Judged(asked, {**seen, "skin": skin}))
    return told


def test_the_group_that_is_drawn_worse_is_found_and_measured() -> None:
    found = groups(people({"light": 0.95, "tan": 0.95, "dark": 0.8}, 600, 1))
    worst = found[0]
    assert (worst.attribute, worst.value) == ("skin", "dark")
    assert worst.worse
    assert worst.difference.low < -0.15 < worst.difference.high
    assert [group.value for group in found if group.worse] == ["dark"]


def test_no_group_is_accused_where_none_is_worse() -> None:
    """Of a hundred tables some five may be wrong; with these seeds it is no more than that."""
    accused = sum(any(g.worse for g in groups(people({"a": 0.9, "b": 0.9, "c": 0.9}, 120, s))) for s in range(100))
    assert accused <= 7


def test_of_few_pictures_nothing_is_said() -> None:
    assert groups(people({"light": 0.9, "dark": 0.1}, 9, 1)) == []
