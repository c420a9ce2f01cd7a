"""Scores of a scalar in one form, and the runs that make a set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.api import Number, Params, PipelineSpec, SetRun, integer, numbers_of, prompt, seed, set_runs


class One(Params):
    prompt: str = prompt(label="Prompt")
    seed: int = seed()


class Several(One):
    batch_size: int = integer(1, minimum=1, maximum=16, label="Batch size")
    batch_count: int = integer(1, minimum=1, maximum=100, label="Batch count")


class Seedless(Params):
    prompt: str = prompt(label="Prompt")


def spec(params: type[Params]) -> PipelineSpec:
    return PipelineSpec("a.b", "B", params, "a:B")


def test_numbers_are_read_in_their_order_and_only_where_they_are() -> None:
    data = {
        "scores": {
            "KD-starter": {"key": "kd", "value": 1, "low": 0.5, "high": float("inf"), "better": "lower"},
            "FD-starter": {"value": 2.5, "real_vs_real": 0.25},
            "gone": {"value": None},
        },
        "order": ["FD-starter", "KD-starter"],
    }
    assert numbers_of(data) == (
        Number("FD-starter", "FD-starter", 2.5, real_vs_real=0.25),
        Number("kd", "KD-starter", 1.0, 0.5, None, better="lower"),
    )
    for other in (None, 3.5, {"value": 3}, {"scores": [1, 2]}, {"scores": {"a": 3}}):
        assert numbers_of(other) == ()


def made(run: SetRun) -> int:
    return int(run.params.get("batch_count", 1)) * int(run.params.get("batch_size", 1))


@given(
    start=st.integers(0, 300),
    count=st.integers(1, 300),
    batch=st.integers(1, 16),
    prompts=st.lists(st.text(min_size=1, max_size=3), max_size=4),
    params=st.sampled_from([One, Several]),
)
def test_runs_make_each_picture_once_with_its_seed_and_prompt(
    start: int, count: int, batch: int, prompts: list[str], params: type[Params]
) -> None:
    given_ = {"batch_size": batch, "prompt": "same"} if params is Several else {"prompt": "same"}
    runs = list(set_runs(spec(params), given_, seed=100, start=start, count=count, prompts=prompts))
    places = [run.start + place for run in runs for place in range(run.count)]
    assert places == list(range(start, start + count))
    for run in runs:
        assert run.params["seed"] == 100 + run.start
        assert 0 <= made(run) - run.count < batch
        assert run.count == 1 or not prompts
        assert run.params["prompt"] == (prompts[run.start % len(prompts)] if prompts else "same")


def test_what_makes_no_set_says_so() -> None:
    with pytest.raises(ValueError, match="has no seed"):
        next(set_runs(spec(Seedless), {}, seed=1, start=0, count=1))
