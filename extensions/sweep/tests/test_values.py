"""The grammar of values: what is listed is what comes out, and whatever is typed is answered."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extensions.sweep.values import ValueProblem, join, numbers, split, switches

WHOLE = st.integers(-(10**6), 10**6)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a, b,c", ["a", "b", "c"]),
        ("a cat\na dog, sitting\n\n", ["a cat", "a dog, sitting"]),
        ("a cat, sitting || a dog", ["a cat, sitting", "a dog"]),
        ('"a, b", c', ["a, b", "c"]),
        ('"say ""hi""", b', ['say "hi"', "b"]),
        ('a 5" nail, b', ['a 5" nail', "b"]),
        ('"open, b', ['"open', "b"]),
        ('"", b', ["", "b"]),
        ("one", ["one"]),
        (" , ,\n", []),
        ("", []),
    ],
)
def test_lists(text: str, values: list[str]) -> None:
    assert split(text) == values


@given(st.lists(st.text(max_size=12) | st.text(alphabet='a", |\n', max_size=8), max_size=6))
def test_what_is_joined_is_split_again(values: list[str]) -> None:
    assert split(join(values)) == values


@given(st.text(max_size=60) | st.text(alphabet='0123456789-+()[]., "\n|e', max_size=40))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    split(text)
    answers = []
    for whole in (True, False):
        try:
            found = numbers(text, whole=whole, limit=50)
        except ValueProblem as problem:
            answers.append(bool(problem.expected and problem.got))
        else:
            assert len(set(found)) == len(found) <= 50
            assert all(math.isfinite(value) for value in found)
    assert all(answers)


@pytest.mark.parametrize(
    ("text", "whole", "values"),
    [
        ("10, 20, 30", True, [10, 20, 30]),
        ("1-5", True, [1, 2, 3, 4, 5]),
        ("1-10 (+2)", True, [1, 3, 5, 7, 9]),
        ("1-10(3)", True, [1, 4, 7, 10]),
        ("10-1 (-3)", True, [10, 7, 4, 1]),
        ("10-1 (3)", True, [10, 7, 4, 1]),
        ("3-1", True, [3, 2, 1]),
        ("-3--1", True, [-3, -2, -1]),
        ("1-10 [5]", True, [1, 3, 6, 8, 10]),
        ("1-3 [9]", True, [1, 2, 3]),
        ("5-5", True, [5]),
        ("7-9 [1]", True, [7]),
        ("1, 1, 2-3, 3", True, [1, 2, 3]),
        ("1e2", True, [100]),
        ("9223372036854775807", True, [2**63 - 1]),
        ("0.5-1.0 [6]", False, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ("0-1 (+0.1)", False, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        ("1-3", False, [1.0, 2.0, 3.0]),
        (".5, -2.25, 3", False, [0.5, -2.25, 3.0]),
    ],
)
def test_ranges(text: str, whole: bool, values: list[float]) -> None:
    assert numbers(text, whole=whole) == values


def test_evenly_spread_sizes_are_possible_ones() -> None:
    assert numbers("512-1024 [4]", whole=True, multiple=8) == [512, 680, 856, 1024]


@pytest.mark.parametrize(
    ("text", "whole", "expected"),
    [
        ("1, two", True, "a whole number, or a range"),
        ("1.5", True, "a whole number"),
        ("1-10 (+0.5)", True, "a whole number"),
        ("1-10 (-2)", True, "a step that leads from 1 to 10"),
        ("1-10 (+0)", True, "a step other than 0"),
        ("1-10 [0]", True, "a count of 1 to"),
        ("1-1000000000", True, "this range has 1000000000"),
        ("0-1 (0.0000000001)", False, "at most"),
        ("0.5-1.0", False, "a step or a count"),
        ("1e30", False, "at most 2^63"),
        ("nan", False, "a number, or a range"),
        ("1-2-3", True, "a whole number, or a range"),
    ],
)
def test_what_is_wrong_is_named(text: str, whole: bool, expected: str) -> None:
    with pytest.raises(ValueProblem) as caught:
        numbers(text, whole=whole)
    assert expected in caught.value.expected
    assert caught.value.got in text


@given(WHOLE, WHOLE, st.integers(1, 10**5))
def test_a_stepped_range_is_a_progression_within_its_bounds(begin: int, end: int, step: int) -> None:
    text = f"{begin}-{end} ({step})"
    count = abs(end - begin) // step + 1
    if count > 200:
        with pytest.raises(ValueProblem):
            numbers(text, whole=True, limit=200)
        return
    signed = step if end >= begin else -step
    assert numbers(text, whole=True, limit=200) == [begin + signed * place for place in range(count)]


@given(WHOLE, WHOLE, st.integers(1, 50))
def test_a_spread_range_begins_and_ends_where_it_says(begin: int, end: int, count: int) -> None:
    spread = numbers(f"{begin}-{end} [{count}]", whole=False)
    assert spread[0] == begin
    assert len(spread) == (1 if begin == end else count)
    if len(spread) > 1:
        assert spread[-1] == end
        gap = Fraction(end - begin, count - 1)
        assert all(math.isclose(value, begin + gap * place, abs_tol=1e-6) for place, value in enumerate(spread))


def test_switches() -> None:
    assert switches("true, off") == [True, False]
    assert switches("all") == [True, False]
    assert switches("no,no") == [False]
    with pytest.raises(ValueProblem, match="maybe"):
        switches("yes, maybe")
