"""The numbers of human studies: known answers, laws, simulated observers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from extensions.studies import bootstrap, detection, preference
from extensions.studies.staircase import Staircase, modal_ms, settled, threshold_ms

TEAMS = ("Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore")
BASEBALL = np.array(
    [
        [0, 7, 9, 7, 7, 9, 11],
        [6, 0, 7, 5, 11, 9, 9],
        [4, 6, 0, 7, 7, 8, 12],
        [6, 8, 6, 0, 6, 7, 10],
        [6, 2, 6, 7, 0, 7, 12],
        [4, 4, 5, 6, 6, 0, 6],
        [2, 4, 1, 3, 1, 7, 0],
    ],
    dtype=float,
)
"""American League, East, 1987: wins of the row over the column (Agresti, Categorical Data Analysis, 2nd edition,
table 10.10)."""


def test_bradley_terry_is_that_of_the_textbook() -> None:
    assert ((BASEBALL + BASEBALL.T)[~np.eye(7, dtype=bool)] == 13).all(), "each pair played 13 games"
    beta = preference.fit(BASEBALL)
    assert np.round(beta - beta[-1], 2)[:-1].tolist() == [1.58, 1.44, 1.29, 1.25, 1.11, 0.68]
    probability = 1 / (1 + math.exp(beta[TEAMS.index("Boston")] - beta[TEAMS.index("New York")]))
    assert probability == pytest.approx(0.53, abs=0.005), "New York beats Boston, as fitted there"


def test_the_standard_errors_are_those_of_the_textbook() -> None:
    """About 0.31 for each team against Baltimore: the variance of a difference, from the information."""
    beta = preference.fit(BASEBALL)
    _, information = preference._derivatives(BASEBALL, BASEBALL + BASEBALL.T, beta)
    covariance = np.linalg.pinv(information)
    against_last = [math.sqrt(covariance[i, i] + covariance[-1, -1] - 2 * covariance[i, -1]) for i in range(6)]
    assert [round(one, 1) for one in against_last] == [0.3] * 6


def test_bradley_terry_is_what_minorization_finds() -> None:
    """Hunter 2004: p_i = W_i / sum_j n_ij / (p_i + p_j), a wholly different way to the same maximum."""
    games, worth = BASEBALL + BASEBALL.T, np.ones(7)
    for _ in range(2000):
        worth = BASEBALL.sum(1) / (games / (worth[:, None] + worth)).sum(1)
        worth /= np.exp(np.log(worth).mean())
    assert np.abs(np.log(worth) - preference.fit(BASEBALL)).max() < 1e-8


def test_two_models_have_the_log_odds_and_their_elo() -> None:
    wins = np.array([[0.0, 30.0], [10.0, 0.0]])
    found = preference.strengths(np.stack([wins]), ("a", "b"))
    assert found.beta[0] - found.beta[1] == pytest.approx(math.log(3))
    assert found.elo[0] - found.elo[1] == pytest.approx(400 * math.log10(3))
    assert found.intervals == (None, None), "one rater says nothing of others"


square = st.integers(2, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(1, 9), min_size=n, max_size=n), min_size=n, max_size=n)
)


@given(square, st.randoms(use_true_random=False))
def test_relabelled_models_have_permuted_strengths(rows: list[list[int]], random: object) -> None:
    wins = np.array(rows, dtype=float)
    np.fill_diagonal(wins, 0)
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    assert np.allclose(preference.fit(wins)[order], preference.fit(wins[np.ix_(order, order)]), atol=1e-7)


@given(square)
def test_strengths_turn_with_the_sides_and_fit_every_models_wins(rows: list[list[int]]) -> None:
    wins = np.array(rows, dtype=float)
    np.fill_diagonal(wins, 0)
    beta = preference.fit(wins)
    assert np.allclose(preference.fit(wins.T), -beta, atol=1e-7), "losing in place of winning"
    expected = (wins + wins.T) / (1 + np.exp(beta[None, :] - beta[:, None]))
    np.fill_diagonal(expected, 0)
    assert np.allclose(expected.sum(1), wins.sum(1), atol=1e-5), "the score equations of the maximum"
    assert abs(beta.sum()) < 1e-9


def test_parts_that_were_never_compared_are_named() -> None:
    wins = np.zeros((4, 4))
    wins[0, 1] = wins[1, 0] = wins[2, 3] = wins[3, 2] = 5
    with pytest.raises(preference.NotConnected, match=r"2 parts .*: a, b \| c, d"):
        preference.check_connected(wins, "abcd")


def test_a_model_that_never_lost_has_no_finite_strength() -> None:
    wins = np.array([[0, 4, 4], [0, 0, 2], [0, 2, 0]], dtype=float)
    with pytest.raises(preference.NotConnected, match="a never lost to b, c"):
        preference.check_connected(wins, "abc")
    wins[1, 0] = 0.5  # one tie is enough
    preference.check_connected(wins, "abc")


def test_intervals_are_over_raters_and_hold_the_truth() -> None:
    generator = np.random.default_rng(5)
    truth = np.array([0.6, 0.0, -0.6])
    by_rater = np.zeros((60, 3, 3))
    for rater in by_rater:
        for i, j in ((0, 1), (0, 2), (1, 2)):
            won = generator.binomial(12, 1 / (1 + math.exp(truth[j] - truth[i])))
            rater[i, j], rater[j, i] = won, 12 - won
    found = preference.strengths(by_rater, "abc", replicates=400)
    for beta, between, true in zip(found.beta, found.intervals, truth, strict=True):
        assert between is not None
        assert between[0] <= beta <= between[1]
        assert between[0] <= true <= between[1]
    assert found.unbounded == 0
    again = preference.strengths(by_rater, "abc", replicates=400)
    assert again == found, "the same answers give the same numbers"


def test_raters_who_agree_with_themselves_are_no_more_than_raters() -> None:
    """Answers copied within each rater do not narrow an interval, as drawing answers would."""
    generator = np.random.default_rng(2)
    wrong = generator.binomial(10, 0.4, size=20).astype(float)
    once, tenfold = (np.stack([wrong * k, np.full(20, 10.0 * k)], axis=1) for k in (1, 10))
    assert bootstrap.interval(once, detection.error_rate) == pytest.approx(
        bootstrap.interval(tenfold, detection.error_rate)
    )


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(12, 20)), min_size=2, max_size=30))
def test_an_interval_holds_the_value_it_is_of(rows: list[tuple[int, int]]) -> None:
    counts = np.array(rows, dtype=float)
    low, high = bootstrap.interval(counts, detection.error_rate, replicates=400) or (1, 0)
    value = float(detection.error_rate(counts.sum(0, keepdims=True))[0])
    assert low - 1e-9 <= value <= high + 1e-9


def test_an_interval_needs_two_raters_and_leaves_out_what_is_unknown() -> None:
    assert bootstrap.interval(np.array([[1.0, 2.0]]), detection.error_rate) is None
    assert bootstrap.percentiles(np.array([np.nan, np.nan])) is None
    assert bootstrap.percentiles(np.array([np.nan, 2.0])) == (2.0, 2.0)
    with pytest.raises(ValueError, match="at least one rater"):
        bootstrap.draws(0)


@pytest.mark.parametrize(
    ("hit_rate", "alarm_rate", "d", "c"),
    [
        (0.5, 0.5, 0.0, 0.0),
        (0.8413447, 0.1586553, 2.0, 0.0),  # z = 1 and -1
        (0.8413447, 0.5, 1.0, -0.5),
        (0.9, 0.3, 1.8059517, -0.3785754),
    ],
)
def test_d_prime_and_criterion_of_known_rates(hit_rate: float, alarm_rate: float, d: float, c: float) -> None:
    """Counts so large that the correction does not show."""
    many = 10**9
    counts = np.array([[hit_rate * many, many, alarm_rate * many, many]])
    assert detection.d_prime(counts)[0] == pytest.approx(d, abs=1e-5)
    assert detection.criterion(counts)[0] == pytest.approx(c, abs=1e-5)
    assert detection.d_prime_two_choice(counts)[0] == pytest.approx(d / math.sqrt(2), abs=1e-5)


def test_the_correction_keeps_perfect_raters_finite() -> None:
    """20 of 20 hits, 0 of 20 false alarms: z(20.5/21) - z(0.5/21) (Hautus 1995)."""
    expected = stats.norm.ppf(20.5 / 21) - stats.norm.ppf(0.5 / 21)
    assert detection.d_prime(np.array([[20, 20, 0, 20]]))[0] == pytest.approx(expected)
    assert detection.criterion(np.array([[20, 20, 0, 20]]))[0] == pytest.approx(0)


@given(st.integers(0, 40), st.integers(0, 40))
def test_swapped_sides_change_no_sensitivity_and_turn_the_bias(hits: int, alarms: int) -> None:
    """A two-choice answer "left" becomes "right", where real was left it is right."""
    here = np.array([[hits, 40, alarms, 40]])
    mirrored = np.array([[40 - alarms, 40, 40 - hits, 40]])
    assert detection.d_prime_two_choice(here)[0] == pytest.approx(detection.d_prime_two_choice(mirrored)[0])
    assert detection.criterion(here)[0] == pytest.approx(-detection.criterion(mirrored)[0])


@given(st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_binomial_test_is_scipys(case: tuple[int, int]) -> None:
    successes, trials = case
    expected = stats.binomtest(successes, trials, 0.5).pvalue if trials else 1.0
    assert detection.binomial_p(successes, trials) == pytest.approx(expected, rel=1e-9)


def test_the_binomial_test_of_many_trials_neither_overflows_nor_waits() -> None:
    expected = stats.binomtest(2400, 5000, 0.5).pvalue
    assert detection.binomial_p(2400, 5000) == pytest.approx(expected, rel=1e-9)
    assert detection.binomial_p(0, 5000) == 0.0
    with pytest.raises(ValueError, match="0 to 3 successes"):
        detection.binomial_p(4, 3)


def observer(exposure_ms: float, threshold: float) -> float:
    """Share of right answers: a Weibull function from chance to all, 75% at ``threshold``."""
    return 1 - 0.5 * math.exp(-math.log(2) * (exposure_ms / threshold) ** 3)


@pytest.mark.parametrize("threshold", [200.0, 300.0, 450.0])
def test_the_staircase_finds_a_simulated_observers_threshold(threshold: float) -> None:
    rule = Staircase()
    assert rule.target == 0.75
    assert observer(threshold, threshold) == pytest.approx(0.75)
    found, modes = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        exposures, exposure = [], rule.start_ms
        for _ in range(150):
            exposures.append(exposure)
            exposure = rule.after(exposure, bool(generator.random() < observer(exposure, threshold)))
        found.append(threshold_ms(exposures) or math.nan)
        modes.append(modal_ms(exposures) or math.nan)
    assert np.mean(found) == pytest.approx(threshold, rel=0.1)
    assert np.mean(modes) == pytest.approx(threshold, rel=0.15)
    assert np.std(found) < 60


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 5))
def test_the_staircase_stays_in_its_range_and_is_a_function_of_the_answers(answers: list[bool], k: int) -> None:
    rule = Staircase(start_ms=400, down_ms=10 * k, up_ms=30 * k)
    exposure = rule.start_ms
    for correct in answers:
        following = rule.after(exposure, correct)
        assert following <= exposure if correct else following >= exposure
        exposure = following
    assert 100 <= exposure <= 1000
    assert rule.next_ms(answers) == exposure


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 4), st.integers(1, 30))
def test_each_block_begins_anew_and_is_a_staircase_of_its_own(answers: list[bool], blocks: int, length: int) -> None:
    rule, trials = Staircase(blocks=blocks), blocks * length
    answers = answers[: trials - 1]
    exposures = [rule.next_ms(answers[:place], trials) for place in range(len(answers) + 1)]
    parts = rule.split(exposures, trials)
    assert [exposure for part in parts for exposure in part] == exposures
    assert len(parts) <= blocks
    for number, part in enumerate(parts):
        mine = answers[number * length : (number + 1) * length]
        assert list(part) == [Staircase().next_ms(mine[:place]) for place in range(len(part))]


def test_the_median_of_three_staircases_is_surer_than_one() -> None:
    rule, length, threshold = Staircase(blocks=3), 150, 300.0
    one, three = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)
        exposures: list[int] = []
        for place in range(3 * length):
            right = place > 0 and bool(generator.random() < observer(exposures[-1], threshold))
            exposures.append(rule.after(exposures[-1], right) if place % length else rule.start_ms)
        found = [threshold_ms(part) or math.nan for part in rule.split(exposures, 3 * length)]
        one.append(found[0])
        three.append(float(np.median(found)))
    assert np.mean(three) == pytest.approx(threshold, rel=0.1)
    assert np.std(three) < 0.8 * np.std(one)


def test_a_staircase_at_the_end_of_its_range_is_told() -> None:
    rule = Staircase(start_ms=120)
    answers = [True] * 30 + [False, True, True, True] * 5
    exposures = [rule.next_ms(answers[:place]) for place in range(len(answers))]
    assert (rule.at_bound(exposures) or 0) > 0.2
    assert Staircase().at_bound([500, 490]) is None
    assert Staircase().at_bound([500, 490, 520, 510, 500]) == 0


def test_a_staircase_that_never_turned_has_no_threshold() -> None:
    assert threshold_ms([500, 490, 480]) is None
    assert threshold_ms([]) is None
    assert modal_ms([]) is None
    assert settled([500, 490, 520, 510, 500]) == [520, 510, 500]
    assert modal_ms([100, 100, 130, 130, 160]) == 115
    with pytest.raises(ValueError, match="lowest <= start"):
        Staircase(start_ms=50)
