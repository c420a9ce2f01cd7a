"""Results of answers whose truth is known."""

from __future__ import annotations

import csv
import io
import json
import random
import statistics
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest

from extensions.studies import exports, plots
from extensions.studies.analysis import excluded, results
from extensions.studies.report import numbers
from extensions.studies.staircase import Staircase
from extensions.studies.store import Answer, OpenStudy
from extensions.studies.study import Trial

Kept = Callable[..., OpenStudy]
Behave = Callable[[Trial, random.Random], bool]
OTHER = {"left": "right", "right": "left", "yes": "no", "no": "yes"}


def rate(study: OpenStudy, seed: int, behave: Behave, *, upto: int = 1000, attentive: bool = True) -> str:
    """A rater who is right where ``behave`` says so; their token."""
    draw = random.Random(seed)
    token, rater = study.begin("en")
    for place, trial in enumerate(rater.plan[:upto]):
        right = attentive if trial.stage != "main" else behave(trial, draw)
        answer = trial.truth if right else OTHER[trial.truth]
        study.vote(token, Answer(place, answer, seconds=2.0, shown_ms=500.0 if study.study.staircase else None))
    return token


def of(study: OpenStudy, **options: Any) -> dict[str, Any]:
    told = results(study.study, study.raters(), **{"replicates": 200, **options})
    json.dumps(told, allow_nan=False)  # JSON as others read it
    return told


def test_yes_no_tells_both_errors_apart(kept: Kept) -> None:
    """Real pictures are always known, generated ones fool three times of ten."""
    study = kept(kind="yes_no", trials=20)
    for seed in range(6):
        fooled = iter([True] * 3 + [False] * 7)
        rate(study, seed, lambda trial, draw, fooled=fooled: trial.truth == "yes" or not next(fooled))
    told = of(study)["realism"]
    assert told["fake_error"]["value"] == pytest.approx(0.3)
    assert told["real_error"]["value"] == 0.0
    assert told["error"]["value"] == pytest.approx(0.15)
    assert told["trials"] == 120
    assert told["criterion"]["value"] < 0, "leaning to real"
    assert told["d_prime"]["value"] > 2
    assert told["fake_error"]["low"] == told["fake_error"]["high"] == pytest.approx(0.3), "all raters alike"
    assert told["p"] < 1e-9


def test_two_choice_sees_a_leaning_to_one_side_and_no_skill(kept: Kept) -> None:
    study = kept(trials=10)
    for seed in range(4):
        rate(study, seed, lambda trial, draw: trial.truth == "left")
    told = of(study)["realism"]
    assert told["error"]["value"] == 0.5
    assert told["d_prime"]["value"] == pytest.approx(0)
    assert told["error_real_left"]["value"] == 0
    assert told["error_real_right"]["value"] == 1
    assert told["criterion"]["value"] < -1
    assert told["p"] == 1.0


def test_each_generated_set_has_numbers_of_its_own(kept: Kept) -> None:
    study = kept(names=("Real", "Poor", "Fine"), trials=10)
    sets = {one.name: one.id for one in study.study.sets}
    for seed in range(4):
        rate(study, seed, lambda trial, draw: sets["Poor"] in [study.study.by_id[name].set for name in trial.pictures])
    told = {one["name"]: one for one in of(study)["realism"]["sets"]}
    assert told["Poor"]["error"]["value"] == 0
    assert told["Fine"]["error"]["value"] == 1
    fooling = of(study)["realism"]["fooling"]
    assert {one["set"] for one in fooling if one["taken_for_real"]} == {"Fine"}
    assert fooling[0]["taken_for_real"] == fooling[0]["seen"]


def test_who_misses_attention_trials_is_reported_and_not_counted(kept: Kept) -> None:
    study = kept(attention=4)
    rate(study, 0, lambda trial, draw: True)
    rate(study, 1, lambda trial, draw: False, attentive=False)
    token, _ = study.begin("en")
    study.vote(token, Answer(0, "left"))
    told = of(study)
    assert [one["excluded"] for one in told["raters"]["each"]] == ["", "missed attention trials", "no answer yet"]
    assert (told["counted"], told["raters"]["excluded"], told["raters"]["began"]) == (1, 2, 3)
    assert told["realism"]["error"] == {"value": 0.0, "low": None, "high": None}, "one rater has no interval"
    assert told["raters"]["each"][1]["attention_seen"] == 4
    assert told["raters"]["each"][0]["median_seconds"] == 2.0


def test_unfinished_raters_count_where_they_may(kept: Kept) -> None:
    study = kept(attention=2)
    plan_length = 14
    rate(study, 0, lambda trial, draw: True)
    rate(study, 1, lambda trial, draw: True, upto=plan_length - 1)
    rate(study, 2, lambda trial, draw: True, upto=3)
    reasons = [excluded(study.study, one) for one in study.raters()]
    assert reasons[:2] == ["", ""]
    assert reasons[2] in ("", "no attention trial yet")
    assert excluded(study.study, study.raters()[1], partial=False) == "not finished"
    assert of(study, partial=False)["counted"] == 1


def test_nothing_is_said_of_a_study_without_answers(kept: Kept) -> None:
    for kind in ("two_choice", "yes_no", "preference"):
        told = of(kept(kind=kind, id=f"20260101-{kind.replace('_', '-')}-x"))
        assert told["counted"] == 0
        assert "realism" not in told
        assert "No answers yet" in plots.plot(told)
        assert plots.chart(told) is None


def prefer(study: OpenStudy, seed: int, chance: dict[str, float], ties: float = 0.0) -> None:
    """By strengths of the Bradley-Terry model."""
    draw = random.Random(seed)
    token, rater = study.begin("en")
    for place, trial in enumerate(rater.plan):
        answer = trial.truth
        if trial.stage == "main":
            left, right = (chance[study.study.by_set[study.study.by_id[name].set].name] for name in trial.pictures)
            answer = "left" if draw.random() < left / (left + right) else "right"
            answer = "tie" if draw.random() < ties else answer
        study.vote(token, Answer(place, answer))


def test_preferences_become_strengths_in_their_order(kept: Kept) -> None:
    study = kept(kind="preference", names=("A", "B", "C"), trials=30, ties=True)
    for seed in range(20):
        prefer(study, seed, {"A": 4.0, "B": 2.0, "C": 1.0}, ties=0.2)
    told = of(study)["preference"]
    elo = {one["name"]: one["elo"] for one in told["strengths"]}
    assert elo["A"]["value"] > elo["B"]["value"] > elo["C"]["value"]
    assert all(one["low"] < one["value"] < one["high"] for one in elo.values())
    assert sum(one["value"] for one in elo.values()) == pytest.approx(0, abs=1e-4)
    assert sum(map(sum, told["wins"])) == 600, "each answer is one win, a tie two halves"
    assert told["left"] == pytest.approx(0.5, abs=0.1)
    assert told["unbounded"] == 0


def test_a_model_that_never_lost_is_told_and_shares_are_still_shown(kept: Kept) -> None:
    study = kept(kind="preference", names=("A", "B"), trials=10)
    prefer(study, 1, {"A": 1.0, "B": 0.0})
    told = of(study)
    assert "A never lost to B" in told["preference"]["problem"]
    assert [one["value"] for one in told["preference"]["share"]] == [1.0, 0.0]
    assert "Preferred (%)" in plots.plot(told)
    assert [one["points"][0][1] for one in (plots.chart(told) or {})["series"]] == [100, 0]
    assert any(row["number"] == "preferred" for row in numbers(told))


def test_glimpses_have_thresholds(kept: Kept) -> None:
    study = kept(kind="yes_no", staircase=Staircase(), per_set=52, trials=100)
    for seed in range(4):
        rate(study, seed, lambda trial, draw: draw.random() < 0.75)
    told = of(study)
    assert told["time"]["threshold_ms"]["raters"] == 4
    assert 250 < told["time"]["threshold_ms"]["value"] < 900
    assert told["time"]["late"] > 0.5, "a browser that always shows 500 ms is told"
    assert len(told["time"]["each"][0]["exposures"]) == 100
    assert "Exposure (ms)" in plots.plot(told)
    points = (plots.chart(told) or {})["series"][0]["points"]
    assert [one[0] for one in points] == list(range(1, 101))
    assert points[0][1:] == [500, 500, 500]


def test_a_raters_threshold_is_the_median_of_the_staircases(kept: Kept) -> None:
    study = kept(kind="yes_no", staircase=Staircase(blocks=3), per_set=52, trials=90)
    for seed in range(3):
        rate(study, seed, lambda trial, draw: draw.random() < 0.75)
    told = of(study)["time"]
    assert told["blocks"] == 3
    for one in told["each"]:
        assert len(one["thresholds_ms"]) == 3
        known = [value for value in one["thresholds_ms"] if value is not None]
        assert one["threshold_ms"] == (statistics.median(known) if known else None)
        assert [one["exposures"][place] for place in (0, 30, 60)] == [500, 500, 500]
    known = [one["threshold_ms"] for one in told["each"] if one["threshold_ms"] is not None]
    assert told["threshold_ms"]["value"] == pytest.approx(statistics.mean(known), abs=1e-5)
    assert told["threshold_ms"]["raters"] == len(known)


@pytest.mark.parametrize("kind", ["two_choice", "yes_no", "preference"])
def test_plots_are_svg_that_holds_no_markup_of_names(kept: Kept, kind: str) -> None:
    study = kept(kind=kind, names=("<b>Real</b>", "A & B </svg><script>"), trials=10)
    for seed in range(3):
        if kind == "preference":
            prefer(study, seed, {"<b>Real</b>": 1.0, "A & B </svg><script>": 1.0})
        else:
            rate(study, seed, lambda trial, draw: draw.random() < 0.6)
    drawn = plots.plot(of(study))
    assert ET.fromstring(drawn).tag.endswith("svg")
    assert "<script" not in drawn


@pytest.mark.parametrize(
    ("values", "ticks"),
    [([0, 60], [0, 20, 40, 60]), ([0.1], [0, 1]), ([-3, 250], [-100, 0, 100, 200, 300]), ([5, 5], [4, 6])],
)
def test_axes_have_round_ticks_around_what_is_shown(values: list[float], ticks: list[float]) -> None:
    found = plots.axis(values)
    assert found[0] <= min(values) <= max(values) <= found[-1]
    assert len(found) <= 7
    if len(values) > 1 and values[0] != values[1]:
        assert found == ticks


def test_every_vote_is_exported_and_no_cell_is_a_formula(kept: Kept) -> None:
    study = kept(names=("=HYPERLINK(1)", "Made"), attention=2)
    rate(study, 0, lambda trial, draw: True)
    rate(study, 1, lambda trial, draw: True, attentive=False)
    rows = list(csv.DictReader(io.StringIO(exports.votes_csv(study.study, study.raters()))))
    assert len(rows) == 28
    assert tuple(rows[0]) == exports.COLUMNS
    assert {row["excluded"] for row in rows} == {"", "missed attention trials"}
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    assert {row["stage"] for row in rows} == {"practice", "attention", "main"}
    assert any(
        row["right_source"].endswith("(scrambled)") or row["left_source"].endswith("(scrambled)") for row in rows
    )
    body = json.loads(exports.votes_json(study.study, study.raters()))
    assert len(body["votes"]) == 28
    assert "link" not in body["study"]
    assert body["votes"][0]["correct"] in (True, False)
