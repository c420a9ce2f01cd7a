from __future__ import annotations

import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.library import infotext
from webui.library.infotext import Infotext, compose, from_recipe, parse, quote, scan_pairs, to_params

LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u2028\u2029\x85")
LINE = st.text(LETTERS, max_size=60).map(str.strip).filter(lambda line: not line.startswith(infotext.NEGATIVE))
PROMPT = st.lists(LINE, max_size=4).map("\n".join).map(str.strip)
KEY = st.from_regex(r"[A-Za-z_][A-Za-z0-9_ /-]{0,20}[A-Za-z0-9_]", fullmatch=True)
VALUE = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)

SAMPLE = """a red fox, (forest:1.2)
<lora:fur:0.8>
Negative prompt: blurry,
ugly
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 12345678901234567, Size: 512x768, \
Model hash: 0123456789, Model: fox/v1, Denoising strength: 0.6, Clip skip: 2, RNG: CPU, \
Lora hashes: "fur: aabb, tail: ccdd", Future thing: yes, Version: v1.9"""


def test_sample_is_read() -> None:
    info = parse(SAMPLE)
    assert info.prompt == "a red fox, (forest:1.2)\n<lora:fur:0.8>"
    assert info.negative_prompt == "blurry,\nugly"
    assert info.pairs["Lora hashes"] == "fur: aabb, tail: ccdd"
    assert info.pairs["Future thing"] == "yes"
    assert to_params(info) == {
        "prompt": info.prompt,
        "negative_prompt": "blurry,\nugly",
        "steps": 20,
        "sampler": "DPM++ 2M",
        "schedule": "Karras",
        "guidance_scale": 7.5,
        "seed": 12345678901234567,
        "width": 512,
        "height": 768,
        "model": "fox/v1",
        "strength": 0.6,
        "clip_skip": 2,
        "rng": "CPU",
    }


def test_what_is_silent_has_the_known_defaults() -> None:
    params = to_params(parse("x\nSteps: 20, Sampler: Euler, Seed: 1, Mask blur: 4"))
    assert (params["rng"], params["clip_skip"], params["schedule"]) == ("GPU", 1, "Automatic")
    assert params["masked_content"] == "original"


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        ("DPM++ 2M Karras", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE Exponential", ("DPM++ 2M SDE", "Exponential")),
        ("LMS karras", ("LMS", "Karras")),
        ("Euler a", ("Euler a", "Automatic")),
        ("Karras", ("Karras", "Automatic")),
    ],
)
def test_legacy_sampler_names_carry_the_schedule(sampler: str, expected: tuple[str, str]) -> None:
    params = to_params(parse(f"x\nSteps: 20, Sampler: {sampler}, Seed: 1"))
    assert (params["sampler"], params["schedule"]) == expected


def test_the_known_traps_of_the_grammar() -> None:
    assert scan_pairs("a: 1, bb: 2, c: 3") == [("bb", "2")]  # one-letter keys vanish
    assert parse("Steps: 20, Seed: 1") == Infotext(prompt="Steps: 20, Seed: 1")  # fewer than three pairs are prompt
    assert parse("style: oil, subject: cat, mood: calm").prompt == ""  # three pairs are none
    assert parse("one\nNegative prompt: two\nthree\nAa: 1, Bb: 2, Cc: 3").negative_prompt == "two\nthree"


def test_only_the_last_line_holds_pairs() -> None:
    info = parse("Steps: 1, Sampler: x, Seed: 2\nSteps: 20, Sampler: y, Seed: 3\n")
    assert info.prompt == "Steps: 1, Sampler: x, Seed: 2"
    assert info.pairs == {"Steps": "20", "Sampler": "y", "Seed": "3"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Aa: "x, y: z", Bb: 2', [("Aa", "x, y: z"), ("Bb", "2")]),
        ('Aa: "x", Bb: ""', [("Aa", "x"), ("Bb", "")]),
        (r'Aa: "a\"b\nc", Bb: 2', [("Aa", 'a"b\nc'), ("Bb", "2")]),
        ('Aa: "never closed, Bb: 2', [("Aa", '"never closed'), ("Bb", "2")]),
        ('Aa: "closed" early, Bb: 2', [("Aa", '"closed" early'), ("Bb", "2")]),
        (r'Aa: "bad \q escape", Bb: 2', [("Aa", r'"bad \q escape"'), ("Bb", "2")]),
        ("http://x.y/z, Bb: 2", [("http", "//x.y/z"), ("Bb", "2")]),
        ("!! Aa: 1:2, -bb/c d: 3", [("Aa", "1:2"), ("bb/c d", "3")]),
        ("种子: 5, Größe: 3", [("种子", "5"), ("Größe", "3")]),
        ("Aa:, Bb:", [("Aa", ""), ("Bb", "")]),
        ("", []),
        (":::,,,", []),
    ],
)
def test_pairs(line: str, expected: list[tuple[str, str]]) -> None:
    assert scan_pairs(line) == expected


# The grammar as INTEROP states it, run by a backtracking engine: right on short texts, far too slow on long ones.
GRAMMAR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


@given(st.text(st.sampled_from('ab :,"\\-/1\t'), max_size=40))
def test_pairs_are_those_of_the_stated_grammar(line: str) -> None:
    assert [key for key, _ in scan_pairs(line)] == [key.strip() for key, _ in GRAMMAR.findall(line)]


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    info = parse(text)
    assert isinstance(to_params(info), dict)


@settings(max_examples=40, deadline=None)
@given(PROMPT, PROMPT, st.dictionaries(KEY, VALUE, min_size=3, max_size=8))
def test_what_is_written_is_read_back(prompt: str, negative: str, pairs: dict[str, str]) -> None:
    info = parse(compose(prompt, negative, pairs))
    assert (info.prompt, info.negative_prompt, info.pairs) == (prompt, negative, pairs)


@given(VALUE)
def test_a_value_is_quoted_only_where_it_must_be(value: str) -> None:
    quoted = quote(value) != value
    unsafe = any(letter in value for letter in ",:\n") or value[0] == '"'
    must = unsafe or not value.isprintable() or value != value.strip()
    assert quoted == must


@settings(max_examples=40, deadline=None)
@given(
    prompt=PROMPT,
    negative=PROMPT,
    seed=st.integers(0, 2**63 - 1),
    steps=st.integers(1, 150),
    guidance=st.floats(0, 30, allow_nan=False).map(lambda value: round(value, 3)),
    width=st.integers(1, 9999),
    sampler=st.sampled_from(["Euler a", "DPM++ 2M", "UniPC"]),
    clip_skip=st.integers(1, 4),
    model=VALUE.filter(lambda name: name == name.strip()),
)
def test_a_recipes_parameters_are_read_back(
    recipe_of, prompt, negative, seed, steps, guidance, width, sampler, clip_skip, model
) -> None:
    recipe = recipe_of(
        prompt=prompt,
        negative_prompt=negative,
        seed=seed,
        steps=steps,
        guidance_scale=guidance,
        sampler=sampler,
        schedule="Karras",
        clip_skip=clip_skip,
        model=model,
        image="upload:x",
        strength=0.45,
    )
    params = to_params(parse(from_recipe(recipe, width=width, height=7)))
    said = {name: params.get(name, "") for name in recipe.params if name != "image"}
    assert said == {name: value for name, value in recipe.params.items() if name != "image"}
    assert (params["width"], params["height"], params["rng"]) == (width, 7, "CPU")


def test_the_order_of_what_is_written(recipe_of) -> None:
    extra = {"Lora hashes": "n: h, n2: h2", "x": 1}
    text = from_recipe(recipe_of(guidance_scale=7.0, clip_skip=1), width=128, height=64, extra=extra)
    assert text.startswith(
        "a cat\nSteps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7, Seed: 5, Size: 128x64, "
        'Model hash: ababababab, Model: starter, RNG: CPU, Lora hashes: "n: h, n2: h2", Version: Lifelike '
    )
    assert "Negative prompt" not in text


def test_a_recipe_without_the_usual_parameters_is_still_read_as_pairs(recipe_of) -> None:
    recipe = recipe_of().model_copy(update={"params": {}, "seed": 3, "models": ()})
    assert parse(from_recipe(recipe)).pairs.keys() == {"Seed", "Pipeline", "Version"}


@pytest.mark.parametrize("value", ["9" * 400, "nan", "inf", "1e999", "٣", "0x10", "", "-", "__import__('os')"])
def test_values_that_are_no_numbers_stay_texts(value: str) -> None:
    info = parse(f"x\nSteps: {value}, CFG scale: {value}, Seed: {value}, Size: {value}")
    assert not {"steps", "guidance_scale", "seed", "width"} & to_params(info).keys()
    assert info.pairs["Steps"] == value


def lines_run(text: str) -> int:
    """Lines of the parser's own code that run over ``text``: its work, whatever the machine."""
    count = 0

    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename != infotext.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        scan_pairs(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("unit", ["a", "a ", 'aa:"', 'aa:"x, ', 'aa:"\\', "aa: ", ":", ",", '"', "\\", 'aa:\\"', "- /"])
def test_work_grows_with_the_length_only(unit: str) -> None:
    assert lines_run(unit * 800) <= 2.2 * lines_run(unit * 400) + 50
    assert lines_run("Steps: " + unit * 800) <= 2.2 * lines_run("Steps: " + unit * 400) + 50


def test_a_long_last_line_takes_no_time() -> None:
    start = time.perf_counter()
    for text in ("a" * 60_000, "a b" * 20_000, 'aa:"' * 15_000, "x\n" + "a" * 60_000 + ":"):
        parse(text)
    assert time.perf_counter() - start < 10  # a backtracking reader takes 42 s for the first alone


def test_a_text_beyond_the_limit_is_cut_to_its_end() -> None:
    info = parse("x" * 300_000 + "\nSteps: 20, Sampler: Euler, Seed: 7")
    assert info.cut
    assert info.pairs["Seed"] == "7"
    assert len(info.prompt) < infotext.MAX_CHARS
