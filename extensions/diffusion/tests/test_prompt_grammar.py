"""The language of prompts: its vectors one by one, and what holds for any text at all."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from types import CodeType, FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from extensions.diffusion.prompts import grammar, networks, program
from extensions.diffusion.prompts.grammar import PARTS_MAX, parse
from extensions.diffusion.prompts.networks import LoraTag
from extensions.diffusion.prompts.program import LARGEST, Body, Span, escaped, plain, render, timeline

LESS = 1 / 1.1


def one(text: str, step: int = 0, steps: int = 10) -> list[tuple[str, float]]:
    """The spans of a prompt of one part and one section at a step."""
    (part,) = parse(text).parts
    (section,) = part.at(step, steps)
    return [(span.text, pytest.approx(span.weight)) for span in section]


def texts(text: str, steps: int = 10) -> list[str]:
    """What is read at each step, without weights."""
    (part,) = parse(text).parts
    return [plain(part.at(step, steps)) for step in range(steps)]


def said(text: str, **how: Any) -> list[tuple[str, str]]:
    """(the place's text, the first words) of every remark."""
    return [(text[row.start : row.end], " ".join(str(row).split()[:3])) for row in parse(text, **how).remarks]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("(a)", [("a", 1.1)]),
        ("[a]", [("a", LESS)]),
        ("((a:1.2))", [("a", 1.32)]),
        ("(a:-1)", [("a", -1.0)]),
        ("(a:.5)", [("a", 0.5)]),
        ("(a: 1.5 )", [("a", 1.5)]),
        ("(a", [("a", 1.1)]),
        ("[a", [("a", LESS)]),
        ("(a:1.5", [("a:1.5", 1.1)]),
        ("(a:1e2)", [("a:1e2", 1.1)]),
        ("(a:1,5)", [("a:1,5", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:b:1.2)", [("a:b", 1.2)]),
        (r"\(a\)", [("(a)", 1.0)]),
        (r"\[a\]\\", [("[a]\\", 1.0)]),
        (r"(\(a\):1.5)", [("(a)", 1.5)]),
        ("(a BREAK b:1.2)", [("a BREAK b", 1.2)]),
        ("breaks BREAKS aBREAK", [("breaks BREAKS aBREAK", 1.0)]),
        ("[a:b:c:3]", [("a:b:c:3", LESS)]),
        ("[a:b]", [("a:b", LESS)]),
        ("aspect ratio 16:9", [("aspect ratio 16:9", 1.0)]),
        ("a cat :0.5", [("a cat :0.5", 1.0)]),
        ("a) b] c", [("a) b] c", 1.0)]),
        ("(a [b) c]", [("a ", 1.1), ("b c]", 1.0)]),
        ("((a][:b:c", [("a]", 1.21), (":b:c", 1.1)]),
        ("a|b", [("a|b", 1.0)]),
        ("(a|b)", [("a|b", 1.1)]),
        ("a (b)(c) d", [("a ", 1.0), ("bc", 1.1), (" d", 1.0)]),
        ("()", []),
        ("", []),
    ],
)
def test_weights_and_literals(text: str, spans: list[tuple[str, float]]) -> None:
    assert one(text) == spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a:b:0.5]", ["a"] * 5 + ["b"] * 5),
        ("[a:b:1]", ["a"] + ["b"] * 9),
        ("[a:b:1.0]", ["a"] * 10),
        ("[b:3]", [""] * 3 + ["b"] * 7),
        ("[a::3]", ["a"] * 3 + [""] * 7),
        ("[a:1.5]", [""] + ["a"] * 9),
        ("[a:b: .25 ]", ["a"] * 2 + ["b"] * 8),
        ("[a:b:99]", ["a"] * 10),
        ("[a:b:-2]", ["b"] * 10),
        ("[a|b]", ["a", "b"] * 5),
        ("[a|b|c]", ["a", "b", "c"] * 3 + ["a"]),
        ("[fe|]male", ["female", "male"] * 5),
        ("a|b [c:d:2]", ["a|b c"] * 2 + ["a|b d"] * 8),
        ("a[b:[c:d:2]:1]e", ["abe", "ace"] + ["ade"] * 8),
        ("[a:b:c:3]", ["a:b:c:3"] * 10),
        ("([a:b:3]:1.3)", ["a"] * 3 + ["b"] * 7),
        ("[(a:1.2):b:3]", ["a"] * 3 + ["b"] * 7),
        ("[a\\:c:b:3]", ["a:c"] * 3 + ["b"] * 7),
    ],
)
def test_schedules_and_turns(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_a_schedule_keeps_the_weights_around_and_inside_it() -> None:
    assert one("([a:b:3]:1.3)", step=0) == [("a", 1.3)]
    assert one("([a:(b:2):3]:1.3)", step=3) == [("b", 2.6)]


def test_break_begins_a_chunk_and_takes_its_space_along() -> None:
    (part,) = parse("a BREAK b\nBREAK\nBREAK (c)").parts
    assert part.at(0, 1) == ((Span("a", 1.0),), (Span("b", 1.0),), (), (Span("c", 1.1),))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x AND y :0.5", [("x", 1.0), ("y", 0.5)]),
        ("x :1.2 AND y AND z :-2", [("x", 1.2), ("y", 1.0), ("z", -2.0)]),
        ("x:1.2 AND y", [("x", 1.2), ("y", 1.0)]),
        ("x AND ratio 16:9", [("x", 1.0), ("ratio 16:9", 1.0)]),
        ("x AND ratio 16 :9", [("x", 1.0), ("ratio 16", 9.0)]),
        ("(x AND y)", [("x AND y", 1.0)]),
        ("(x AND y", [("x", 1.0), ("y", 1.0)]),
        ("x AND AND y", [("x", 1.0), ("y", 1.0)]),
        ("SAND AND LAND", [("SAND", 1.0), ("LAND", 1.0)]),
        ("AND", [("", 1.0)]),
    ],
)
def test_compositions(text: str, parts: list[tuple[str, float]]) -> None:
    assert [(plain(part.at(0, 1)), part.weight) for part in parse(text).parts] == parts


def test_conditions_are_bounded() -> None:
    met = parse(" AND ".join("abcd" * 10))
    assert len(met.parts) == PARTS_MAX
    assert len(met.remarks) == 40 - PARTS_MAX
    assert all(row.error for row in met.remarks)


def test_a_negative_prompt_is_one_condition() -> None:
    (part,) = parse("x AND y :0.5", negative=True).parts
    assert plain(part.at(0, 1)) == "x AND y :0.5"
    assert said("x AND y", negative=True) == [("AND", "AND joins conditions")]


@pytest.mark.parametrize(
    ("tag", "weights"),
    [
        ("<lora:name:0.8>", ("name", 0.8, 0.8)),
        ("<lora:name>", ("name", 1.0, 1.0)),
        ("<lora:name:0.5:1.2>", ("name", 0.5, 1.2)),
        ("<lora:some name, v2:te=0.5:unet=-1>", ("some name, v2", 0.5, -1.0)),
        ("<lora:name:unet=0.3>", ("name", 1.0, 0.3)),
        ("<lyco:name:0.8:0.7:dyn=4>", ("name", 0.8, 0.7)),
    ],
)
def test_networks_are_taken_out(tag: str, weights: tuple[str, float, float]) -> None:
    met = parse(f"a {tag} cat")
    assert met.networks == (LoraTag(*weights, start=2, end=2 + len(tag)),)
    assert one(f"a {tag} cat") == [("a  cat", 1.0)]
    assert not met.remarks


def test_a_tag_that_is_none_stays_text() -> None:
    assert one("I <3 you <lora") == [("I <3 you <lora", 1.0)]
    assert one(r"\<lora:a:1>") == [("<lora:a:1>", 1.0)]
    assert parse("a <lora: :1> <hypernet:x:1>").networks == ()


def test_remarks_say_where() -> None:
    assert said("a (b") == [("(", "This bracket is")]
    assert said("a) b") == [(")", "This bracket closes")]
    assert said("(cat:1,5)") == [("1,5", "1,5 is no")]
    assert said("x [a:b:c:3]") == [("[a:b:c:3]", "A schedule is")]
    assert said("(a BREAK b)") == [("BREAK", "BREAK inside a")]
    assert said("a AND  ") == [("AND", "AND joins two")]
    assert said("(a:1000)") == [("1000", "Weights go up")]
    assert said("<lora:x:high>") == [("<lora:x:high>", "high is no")]
    assert said("(fine:1.2), [a|b], [a:b:0.3] AND c :0.5 BREAK \\(x\\) <lora:n:1>") == []


ANY_TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [*"()[]:|\\a ,_<>\né\x00\ud800", "b c", "1.2", "0.5", "3", "-1", "AND", "BREAK", "<lora:n:0.5>", "<lora:"]
        ),
        max_size=40,
    ).map("".join),
)


def body_of(text: str) -> list[tuple[float, Body]]:
    return [(part.weight, part.at(0, 10)) for part in parse(text).parts]


@given(ANY_TEXT, st.booleans(), st.integers(1, 30))
@settings(max_examples=300, deadline=None)
@example("[" * 3000 + "a:b:3" + "]" * 3000, False, 2)
@example("(" * 9000, False, 2)
def test_any_text_has_a_meaning(text: str, negative: bool, steps: int) -> None:
    met = parse(text, negative=negative)
    assert met.parts
    for part in met.parts:
        assert math.isfinite(part.weight)
        runs = timeline(part, steps)
        assert runs[0][0] == 0
        for _, body in runs:
            assert body
            for section in body:
                assert all(span.text and abs(span.weight) <= LARGEST for span in section)
                assert all(one[1] != two[1] for one, two in pairwise(section))
    for remark in met.remarks:
        assert 0 <= remark.start < remark.end <= len(text)
        assert str(remark)


@given(st.text(alphabet="ab ,.'éü\n0", max_size=50))
def test_text_without_grammar_is_itself(text: str) -> None:
    assert body_of(text) == [(1.0, ((Span(text, 1.0),) if text else (),))]


@given(ANY_TEXT)
@settings(deadline=None)
def test_what_is_escaped_is_read_as_it_was(text: str) -> None:
    assert body_of(escaped(text)) == [(1.0, ((Span(text, 1.0),) if text else (),))]


@given(ANY_TEXT)
@settings(max_examples=300, deadline=None)
def test_rendering_is_the_inverse_of_reading(text: str) -> None:
    body = parse(text).parts[0].at(0, 10)
    assert body_of(render(body)) == [(1.0, body)]


SIMPLE = st.text(alphabet="abc ", min_size=1, max_size=8).filter(str.strip)
WEIGHT = st.floats(-3, 3).map(lambda value: round(value, 3))


@given(SIMPLE, WEIGHT, WEIGHT)
def test_weights_multiply(text: str, outer: float, inner: float) -> None:
    assert one(f"(({text}:{inner}):{outer})") == [(text, outer * inner)]
    assert one(f"[({text})]") == [(text, 1.0)]
    assert one(f"([{text}])") == [(text, 1.0)]


@given(SIMPLE, SIMPLE, st.floats(0, 1), st.integers(1, 60))
def test_a_share_of_the_steps_is_a_count_of_steps(one_text: str, other: str, share: float, steps: int) -> None:
    (part,) = parse(f"[{one_text}:{other}:{share:.4f}]").parts
    switch = int(float(f"{share:.4f}") * steps)
    for step in range(steps):
        assert part.at(step, steps) == ((Span(one_text if step < switch else other, 1.0),),)


def lines_run(text: str) -> int:
    """How many lines of the grammar's code reading ``text`` takes."""
    count = 0
    own = {grammar.__file__, networks.__file__, program.__file__}

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return inside

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        code: CodeType = frame.f_code
        return inside if code.co_filename in own else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        met = parse(text)
        for part in met.parts:
            part.at(0, 10)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    "unit",
    [
        *"([|)\\:",
        *("(a:", "[a:b:", "[a|", "(a:1.2)", "[a:b:3]", "((a][", "<lora:", "<lora:a:1>", ":1", "(:B", "__a", "[:1.5"),
        *("(a:1,", "a AND ", "BREAK ", "(a [b) c] ", "(BREAK:1) "),
    ],
)
def test_the_work_grows_with_the_length_alone(unit: str) -> None:
    short, long = lines_run(unit * 60), lines_run(unit * 240)
    assert long <= 4.4 * short
    if unit in "([":
        nested = unit * 60 + "a" + {"(": ")", "[": "]"}[unit] * 60
        assert lines_run(unit * 240 + "a" + nested[-1] * 240) <= 4.4 * lines_run(nested)
