"""Plans of raters: balanced, hidden, repeatable."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extensions.studies.design import mirrored, plan
from extensions.studies.study import Study, Trial
from extensions.studies.tests.conftest import make_study


def main_of(trials: tuple[Trial, ...]) -> list[Trial]:
    return [one for one in trials if one.stage == "main"]


CASES: list[dict[str, Any]] = [
    {"kind": "two_choice"},
    {"kind": "two_choice", "matched": True},
    {"kind": "two_choice", "names": ("Real", "A", "B")},
    {"kind": "yes_no"},
    {"kind": "yes_no", "names": ("Real", "A", "B", "C"), "trials": 9},
    {"kind": "preference", "names": ("A", "B")},
    {"kind": "preference", "names": ("A", "B", "C", "D"), "trials": 12},
    {"kind": "preference", "names": ("A", "B", "C"), "matched": True},
]


@pytest.mark.parametrize("changes", CASES)
def test_a_plan_has_what_was_asked_for_and_is_the_same_again(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    for number in range(8):
        trials = plan(study, number)
        assert Counter(one.stage for one in trials) == {"practice": 2, "attention": 2, "main": study.trials}
        assert [one.stage for one in trials[:2]] == ["practice", "practice"]
        assert trials == plan(study, number)
        assert {len(one.pictures) for one in trials} == ({1} if study.kind == "yes_no" else {2})
    assert plan(study, 0) != plan(study, 2)


@pytest.mark.parametrize("changes", CASES)
def test_no_picture_of_practice_or_attention_is_asked_in_earnest(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    for number in range(6):
        uses = {study.by_id[name].use for one in main_of(plan(study, number)) for name in one.pictures}
        assert uses == {"main"}
        others = {study.by_id[name].use for one in plan(study, number) if one.stage != "main" for name in one.pictures}
        assert others <= {"practice", "scrambled"}


@pytest.mark.parametrize("changes", CASES)
def test_truth_says_which_picture_is_real(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    for one in main_of(plan(study, 3)):
        real = [study.by_set[study.by_id[name].set].real for name in one.pictures]
        if study.kind == "two_choice":
            assert sorted(real) == [False, True]
            assert one.truth == ("left" if real[0] else "right")
        elif study.kind == "yes_no":
            assert one.truth == ("yes" if real[0] else "no")
        else:
            assert one.truth == ""
            assert len({study.by_id[name].set for name in one.pictures}) == 2
        if study.matched:
            assert len({study.by_id[name].place for name in one.pictures}) == 1


@pytest.mark.parametrize("changes", CASES)
def test_a_rater_sees_no_trial_twice(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    for number in range(10):
        shown = [frozenset(one.pictures) for one in main_of(plan(study, number))]
        assert len(set(shown)) == len(shown)
        if study.kind != "preference":
            names = [name for one in shown for name in one]
            assert len(set(names)) == len(names)


@pytest.mark.parametrize("changes", [one for one in CASES if one["kind"] != "yes_no"])
def test_pairs_of_raters_are_mirrored_and_in_reverse_order(changes: dict[str, Any]) -> None:
    study = make_study(**changes)
    for number in (0, 2, 6):
        first, second = main_of(plan(study, number)), main_of(plan(study, number + 1))
        assert [mirrored(one) for one in reversed(first)] == second


@given(st.integers(1, 10), st.integers(0, 20))
def test_the_real_one_is_on_either_side_equally_often(trials: int, number: int) -> None:
    study = make_study(trials=trials)
    sides = Counter(one.truth for one in main_of(plan(study, number)))
    assert abs(sides["left"] - sides["right"]) <= 1


@given(st.integers(1, 20), st.integers(0, 12))
def test_half_of_single_pictures_are_real(trials: int, number: int) -> None:
    study = make_study(kind="yes_no", trials=trials)
    assert abs(sum(1 if one.truth == "yes" else -1 for one in main_of(plan(study, number)))) <= 1


@pytest.mark.parametrize("changes", CASES)
def test_every_picture_is_used_equally_often_over_raters(changes: dict[str, Any]) -> None:
    """Each of a set, but for one use, over raters of even numbers; a mirrored one sees what its partner saw."""
    study = make_study(**changes)
    step = 1 if study.kind == "yes_no" else 2
    used = Counter(
        name for number in range(0, 12 * step, step) for one in main_of(plan(study, number)) for name in one.pictures
    )
    for one in study.sets:
        counts = [used[each.id] for each in study.used("main", one.id)]
        slack = 1 if study.kind != "preference" else len(study.sets) - 1
        assert max(counts) - min(counts) <= slack, (one.name, counts)


def test_every_pair_of_sets_is_compared_equally_often_on_either_side() -> None:
    study = make_study(kind="preference", names=("A", "B", "C"), trials=12)
    met = Counter(tuple(study.by_id[name].set for name in one.pictures) for one in main_of(plan(study, 4)))
    assert set(met.values()) == {2}
    assert len(met) == 6, "three pairs, each in both orders"


def test_real_and_generated_come_in_ever_new_couples() -> None:
    study = make_study()
    met = Counter(frozenset(one.pictures) for number in range(0, 20, 2) for one in main_of(plan(study, number)))
    assert max(met.values()) == 1, "a hundred couples of ten by ten pictures"


def stages(study: Study, number: int) -> list[int]:
    return [place for place, one in enumerate(plan(study, number)) if one.stage == "attention"]


def test_attention_trials_lie_apart_and_elsewhere_for_everyone() -> None:
    study = make_study(attention=2)
    places = [stages(study, number) for number in range(12)]
    assert len({tuple(one) for one in places}) > 4
    assert all(one[0] < 2 + 6 <= one[1] + 1 for one in places), "one in each half"
    for number in range(4):
        for one in plan(study, number):
            if one.stage == "attention":
                broken = one.pictures[{"left": 1, "right": 0}[one.truth]]
                assert study.by_id[broken].use == "scrambled"
