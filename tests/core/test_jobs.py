"""What travels between processes survives the journey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webui.core.ids import is_id, new_id
from webui.core.jobs import COMMAND, EVENT, ErrorInfo, Job, JobFailedEvent, JobProgress, Progress, RunCommand
from webui.core.recipes import Recipe

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4), st.text(max_size=40))
def test_commands_and_events_round_trip(params: dict[str, object], message: str) -> None:
    command = RunCommand(job=Job(pipeline="a.b", params=params), done_indices=(0, 2))
    assert COMMAND.validate_json(command.model_dump_json()) == command
    for event in (
        JobProgress(job_id="x", progress=Progress(step=1, steps=2, message=message)),
        JobFailedEvent(job_id="x", error=ErrorInfo(kind="ValueError", message=message)),
    ):
        line = event.model_dump_json()
        assert "\n" not in line
        assert EVENT.validate_json(line) == event


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=4), st.text(max_size=40))
def test_a_recipe_is_canonical(params: dict[str, object], prompt: str) -> None:
    recipe = Recipe(pipeline="a.b", params={**params, "prompt": prompt}, seed=3)
    text = recipe.to_json()
    assert Recipe.from_json(text) == recipe
    assert Recipe.from_json(text).to_json() == text


def test_ids_sort_by_time_and_are_safe_names() -> None:
    ids = [new_id() for _ in range(200)]
    assert len(set(ids)) == 200
    assert all(is_id(one) for one in ids)
    assert [one[:10] for one in ids] == sorted(one[:10] for one in ids)
    assert not is_id("../../etc/passwd")
