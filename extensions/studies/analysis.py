"""From a study and its raters' answers to its results: plain JSON for the page, the pipeline and other programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import detection, preference
from .bootstrap import REPLICATES, Array, interval
from .staircase import Staircase, modal_ms, settled, threshold_ms
from .store import Rater
from .study import PictureSet, Study

LATE_MS = 25.0
"""An exposure that differs more than this from the one asked for, as one of 60 Hz may not, is counted as late."""
Row = dict[str, Any]


def results(study: Study, raters: Sequence[Rater], *, partial: bool = True, replicates: int = REPLICATES) -> Row:
    """Everything that is said of a study. ``partial``: count raters who did not finish, too."""
    sorted_ = {rater.id: excluded(study, rater, partial) for rater in raters}
    counted = [rater for rater in raters if not sorted_[rater.id]]
    body: Row = {
        "study": study.id,
        "title": study.title,
        "kind": study.kind,
        "timed": study.staircase is not None,
        "closed": study.closed,
        "sets": [{"name": one.name, "real": one.real} for one in study.sets],
        "raters": _raters(raters, sorted_),
        "counted": len(counted),
        "answers": sum(len(_main(rater)) for rater in counted),
        "notes": list(study.notes),
    }
    if not counted:
        return body
    if study.kind == "preference":
        body["preference"] = _preference(study, counted, replicates)
    else:
        body["realism"] = _realism(study, counted, replicates)
    if study.staircase is not None:
        body["time"] = _time(study, counted, replicates)
    return body


def excluded(study: Study, rater: Rater, partial: bool = True) -> str:
    """Why a rater is not counted; empty for one who is."""
    if not _main(rater):
        return "no answer yet"
    seen = [one for one in rater.votes if one["stage"] == "attention"]
    right = sum(bool(one["correct"]) for one in seen)
    if seen and right < study.attention_share * len(seen):
        return "missed attention trials"
    if not rater.finished and not partial:
        return "not finished"
    if not rater.finished and study.attention and not seen:
        return "no attention trial yet"
    return ""


def _main(rater: Rater) -> list[Row]:
    return [one for one in rater.votes if one["stage"] == "main"]


def _raters(raters: Sequence[Rater], reasons: dict[str, str]) -> Row:
    rows = []
    for rater in raters:
        seen = [one for one in rater.votes if one["stage"] == "attention"]
        seconds = [float(one["seconds"]) for one in _main(rater) if one["seconds"] is not None]
        rows.append(
            {
                "rater": rater.id,
                "answers": len(_main(rater)),
                "finished": rater.finished,
                "attention_right": sum(bool(one["correct"]) for one in seen),
                "attention_seen": len(seen),
                "median_seconds": round(statistics.median(seconds), 2) if seconds else None,
                "excluded": reasons[rater.id],
            }
        )
    return {
        "began": len(raters),
        "finished": sum(rater.finished for rater in raters),
        "excluded": sum(bool(reason) for reason in reasons.values()),
        "each": rows,
    }


# Realism


def _realism(study: Study, raters: Sequence[Rater], replicates: int) -> Row:
    """Of all generated sets together, then of each."""
    generated = [one for one in study.sets if not one.real]
    told = _of_sets(study, raters, generated, replicates)
    told["sets"] = [{"name": one.name, **_of_sets(study, raters, [one], replicates)} for one in generated]
    told["fooling"] = _fooling(study, raters)
    return told


def _of_sets(study: Study, raters: Sequence[Rater], generated: Sequence[PictureSet], replicates: int) -> Row:
    names = {one.id for one in generated}
    real = study.real_set
    assert real is not None
    rows = [
        [one for one in _main(rater) if names.intersection(one["sets"]) or one["sets"] == [real.id]] for rater in raters
    ]
    shown = [[one for one in votes if names.intersection(one["sets"])] for votes in rows]
    wrong = _counts(rows, lambda one: not one["correct"])
    total, trials = (int(value) for value in wrong.sum(0))
    body: Row = {"trials": trials, "error": _value(wrong, detection.error_rate, replicates), "p": None}
    if study.kind == "two_choice" or len(names) == len(study.sets) - 1:
        body["p"] = detection.binomial_p(total, trials)
    if study.kind == "yes_no":
        fake = _counts(shown, lambda one: one["answer"] == "yes")
        genuine = [[one for one in votes if one["truth"] == "yes"] for votes in rows]
        missed = _counts(genuine, lambda one: one["answer"] == "no")
        signal = np.column_stack([missed[:, 1] - missed[:, 0], missed[:, 1], fake[:, 0], fake[:, 1]])
        body["error"] = _value(signal, detection.balanced_error, replicates)
        body["fake_error"] = _value(fake, detection.error_rate, replicates)
        body["real_error"] = _value(missed, detection.error_rate, replicates)
        body["d_prime"] = _value(signal, detection.d_prime, replicates)
        body["criterion"] = _value(signal, detection.criterion, replicates)
        return body
    is_left = [[one for one in votes if one["truth"] == "left"] for votes in shown]
    is_right = [[one for one in votes if one["truth"] == "right"] for votes in shown]
    hits = _counts(is_left, lambda one: one["answer"] == "left")
    alarms = _counts(is_right, lambda one: one["answer"] == "left")
    signal = np.column_stack([hits, alarms])
    left_errors = np.column_stack([hits[:, 1] - hits[:, 0], hits[:, 1]])
    body["error_real_left"] = _value(left_errors, detection.error_rate, replicates)
    body["error_real_right"] = _value(alarms, detection.error_rate, replicates)
    body["d_prime"] = _value(signal, detection.d_prime_two_choice, replicates)
    body["criterion"] = _value(signal, detection.criterion, replicates)
    return body


def _counts(rows: Iterable[Sequence[Row]], of: Callable[[Row], bool]) -> Array:
    """float64 [raters, 2]: how many answers are ``of``, and how many there are."""
    return np.array([[sum(map(of, votes)), len(votes)] for votes in rows], dtype=float)


def _value(counts: Array, statistic: Callable[[Array], Array], replicates: int) -> Row:
    """A number of the pooled answers, and its interval over raters."""
    value = float(statistic(counts.sum(0, keepdims=True))[0])
    return _told(value, interval(counts, statistic, replicates=replicates))


def _told(value: float | None, between: tuple[float, float] | None) -> Row:
    known = value is not None and math.isfinite(value)
    return {
        "value": _round(value) if known else None,
        "low": _round(between[0]) if between else None,
        "high": _round(between[1]) if between else None,
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _fooling(study: Study, raters: Sequence[Rater]) -> list[Row]:
    """Each generated picture: how often it was seen and taken for real, the most convincing first."""
    seen: dict[str, list[int]] = {}
    for rater in raters:
        for one in _main(rater):
            for picture, set_id in zip(one["pictures"], one["sets"], strict=True):
                if not study.by_set[set_id].real:
                    tally = seen.setdefault(picture, [0, 0])
                    tally[0] += not one["correct"]
                    tally[1] += 1
    rows = []
    for picture, (fooled, times) in seen.items():
        known = study.by_id[picture]
        rows.append(
            {
                "picture": picture,
                "set": study.by_set[known.set].name,
                "source": known.source,
                "taken_for_real": fooled,
                "seen": times,
            }
        )
    return sorted(rows, key=lambda row: (-row["taken_for_real"] / row["seen"], -row["seen"], row["picture"]))


# Exposure


BOUND_SHARE = 0.25
"""A rater whose settled exposures lie on an end of the range this often has a threshold beyond it."""


def _time(study: Study, raters: Sequence[Rater], replicates: int) -> Row:
    """Thresholds of the raters whose staircases turned, and HYPE's modal exposures, each with its interval."""
    stairs = study.staircase
    assert stairs is not None
    each = []
    late = total = 0
    for rater in raters:
        votes = _main(rater)
        exposures = [int(one["exposure_ms"]) for one in votes if one["exposure_ms"] is not None]
        shown = [(float(one["shown_ms"]), float(one["exposure_ms"])) for one in votes if one["shown_ms"] is not None]
        late += sum(abs(met - asked) > LATE_MS for met, asked in shown)
        total += len(shown)
        each.append({"rater": rater.id, **_of_blocks(stairs, stairs.split(exposures, study.trials))})
    beyond = sum(one["at_bound"] is not None and one["at_bound"] > BOUND_SHARE for one in each)
    return {
        "target": stairs.target,
        "blocks": stairs.blocks,
        "threshold_ms": _mean([one["threshold_ms"] for one in each], replicates),
        "modal_ms": _mean([one["modal_ms"] for one in each if one["settled"]], replicates),
        "beyond": beyond,
        "late": late / total if total else None,
        "each": each,
    }


def _of_blocks(stairs: Staircase, blocks: Sequence[Sequence[int]]) -> Row:
    """A rater's number is the median over the blocks that settled, as in HYPE (Zhou et al. 2019)."""
    rested = [block for block in blocks if settled(block)]
    thresholds = [threshold_ms(block) for block in blocks]
    known = [one for one in thresholds if one is not None]
    modes = [mode for block in rested if (mode := modal_ms(block)) is not None]
    bounds = [share for block in rested if (share := stairs.at_bound(block)) is not None]
    return {
        "threshold_ms": statistics.median(known) if known else None,
        "modal_ms": statistics.median(modes) if modes else None,
        "thresholds_ms": thresholds,
        "at_bound": statistics.median(bounds) if bounds else None,
        "settled": sum(len(settled(block)) for block in blocks),
        "exposures": [exposure for block in blocks for exposure in block],
    }


def _mean(values: Sequence[float | None], replicates: int) -> Row:
    """Over raters who have one."""
    known = [float(one) for one in values if one is not None]
    if not known:
        return {**_told(None, None), "raters": 0}
    counts = np.column_stack([known, np.ones(len(known))])
    return {**_value(counts, detection.error_rate, replicates), "raters": len(known)}


# Preference


def _preference(study: Study, raters: Sequence[Rater], replicates: int) -> Row:
    order = {one.id: place for place, one in enumerate(study.sets)}
    names = [one.name for one in study.sets]
    by_rater = np.zeros((len(raters), len(names), len(names)))
    ties = np.zeros_like(by_rater)
    left = chosen_sides = 0
    for place, rater in enumerate(raters):
        for one in _main(rater):
            i, j = (order[set_id] for set_id in one["sets"])
            if one["answer"] == "tie":
                by_rater[place, i, j] += 0.5
                by_rater[place, j, i] += 0.5
                ties[place, i, j] += 1
                ties[place, j, i] += 1
                continue
            chosen_sides += 1
            left += one["answer"] == "left"
            winner, loser = (i, j) if one["answer"] == "left" else (j, i)
            by_rater[place, winner, loser] += 1
    wins = by_rater.sum(0)
    body: Row = {
        "wins": wins.tolist(),
        "ties": ties.sum(0).tolist(),
        "share": [_share(by_rater, place, replicates) for place in range(len(names))],
        "left": _round(left / chosen_sides) if chosen_sides else None,
        "names": names,
    }
    try:
        found = preference.strengths(by_rater, names, replicates=replicates)
    except preference.NotConnected as error:
        body["problem"] = str(error)
        return body
    body["strengths"] = [
        {
            "name": name,
            "beta": _round(found.beta[place]),
            "error": _round(found.errors[place]),
            "elo": _told(found.elo[place], _scaled(found.intervals[place])),
        }
        for place, name in enumerate(names)
    ]
    body["unbounded"] = _round(found.unbounded)
    return body


def _share(by_rater: Array, place: int, replicates: int) -> Row:
    """How often a model was preferred, of all its comparisons."""
    won = by_rater[:, place, :].sum(1)
    counts = np.column_stack([won, won + by_rater[:, :, place].sum(1)])
    return _value(counts, detection.error_rate, replicates)


def _scaled(between: tuple[float, float] | None) -> tuple[float, float] | None:
    return (between[0] * preference.ELO, between[1] * preference.ELO) if between else None
