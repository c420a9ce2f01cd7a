"""What guests may run and name, from declarations alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webui.core.accepting import Acceptor
from webui.core.declaring import ParameterValues, folder, image, images, integer, model, parameters, size, text
from webui.core.errors import Forbidden, NotFound, ParameterError
from webui.core.guests import GuestRules, Quota, artifacts_named, folder_of_guest, guest_of_path, is_open
from webui.core.parameters import Params
from webui.core.specs import PipelineSpec


class Draw(Params):
    width: int = size(512, label="Width")
    height: int = size(512, label="Height")
    steps: int = integer(20, minimum=1, maximum=1000, label="Steps")
    hires_steps: int = integer(0, minimum=0, maximum=1000, label="More")
    batch_size: int = integer(1, minimum=1, maximum=64, label="Size")
    batch_count: int = integer(1, minimum=1, maximum=64, label="Count")
    image: str | None = image(label="From")
    more: tuple[str, ...] = images(label="More")
    into: str = folder(label="Into")
    weights: str = model(label="Model")


class Sheet(Params):
    samples: int = integer(4, minimum=1, maximum=1000, label="Pictures")
    batch_size: int = integer(8, minimum=1, maximum=64, label="At a time")


class FromFolder(Params):
    source: str = folder(..., label="Source")


class Holder(Params):
    pipeline: str = text(label="Pipeline")
    params: ParameterValues = parameters("pipeline", label="Parameters")


def held(params: Any, desk: Any) -> dict[str, Any]:
    return {**params.model_dump(), "params": desk.freeze(params.pipeline, params.params)}


DRAW = PipelineSpec(id="easel.draw", title="Draw", params=Draw, run=".x:X")
SPECS = {
    spec.id: spec
    for spec in (
        DRAW,
        PipelineSpec(id="easel.sheet", title="Sheet", params=Sheet, run=".x:X"),
        PipelineSpec(id="easel.hold", title="Hold", params=Holder, run=".x:X", accept=held),
        PipelineSpec(id="easel.train", title="Train", params=Params, run=".x:X", outputs="file"),
    )
}


class Listed:
    usable = True
    recommended: dict[str, Any] = {}

    def __init__(self, ref: str) -> None:
        self.ref = ref


class Models:
    def resolve(self, ref: str, kind: str = "") -> Listed:
        return Listed(ref or "starter/avatar")

    def entries(self, kind: str = "") -> list[Listed]:
        return [Listed("starter/avatar")]


def accept(spec: PipelineSpec, raw: dict[str, Any], quota: Quota = Quota()) -> dict[str, Any]:  # noqa: B008
    rules = GuestRules(lambda artifact: artifact == "mine-0", lambda ref: ref == "upload:mine", quota)
    acceptor = Acceptor(SPECS, Models(), lambda row, value: value, lambda name: {}, no_folder, rules)
    return acceptor(spec, raw)


def no_folder(path: str, field: str) -> Any:
    raise AssertionError("a guest's folder is refused before it is looked for")


@pytest.mark.parametrize("outputs", ["image", "video", "audio", "table", "plot", "file", "scalar"])
def test_what_makes_pictures_is_open_unless_it_says_otherwise(outputs: Any) -> None:
    spec = replace(DRAW, outputs=outputs)
    assert is_open(spec) == (outputs in ("image", "video", "audio"))
    assert is_open(replace(spec, guests=True))
    assert not is_open(replace(spec, guests=False))
    assert not is_open(replace(spec, params=FromFolder))


def test_a_guests_picture_is_accepted_as_any_is() -> None:
    assert accept(DRAW, {"image": "artifact:mine-0"})["width"] == 512


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"image": "artifact:theirs-0"}, "image"),
        ({"image": "upload:theirs"}, "image"),
        ({"more": ["artifact:mine-0", "artifact:theirs-0"]}, "more"),
        ({"into": "/etc"}, "into"),
        ({"into": "images"}, "into"),
        ({"weights": "someone/hub-id"}, "weights"),
        ({"weights": "/models/private.safetensors"}, "weights"),
        ({"width": 2048, "height": 2048}, "width"),
        ({"steps": 61}, "steps"),
        ({"hires_steps": 61}, "hires_steps"),
        ({"batch_size": 4, "batch_count": 5}, "batch_count"),
    ],
)
def test_what_a_guest_cannot_have_is_named(params: dict[str, Any], field: str) -> None:
    with pytest.raises(ParameterError) as caught:
        accept(DRAW, params)
    assert [one.name for one in caught.value.fields] == [field]
    with pytest.raises(ParameterError):
        accept(SPECS["easel.hold"], {"pipeline": "easel.draw", "params": params})


def test_pictures_are_counted_whatever_their_parameter() -> None:
    with pytest.raises(ParameterError) as caught:
        accept(SPECS["easel.sheet"], {"samples": 17, "batch_size": 2})
    assert [one.name for one in caught.value.fields] == ["samples"]
    assert accept(SPECS["easel.sheet"], {"samples": 16, "batch_size": 8})["samples"] == 16


def test_without_limits_all_of_it_is_a_question_of_time() -> None:
    free = Quota(waiting=0, pictures=0, pixels=0, steps=0, minutes=0)
    assert accept(DRAW, {"width": 4096, "height": 4096, "steps": 1000, "batch_size": 64}, free)["steps"] == 1000


def test_what_is_the_owners_is_so_within_another_run_too() -> None:
    with pytest.raises(Forbidden, match="owner alone"):
        accept(SPECS["easel.train"], {})
    with pytest.raises(Forbidden, match="owner alone"):
        accept(SPECS["easel.hold"], {"pipeline": "easel.train"})
    with pytest.raises(NotFound):
        accept(SPECS["easel.hold"], {"pipeline": "easel.nothing"})


NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True).filter(lambda name: name != "local")


@settings(max_examples=40, deadline=None)
@given(NAMES, NAMES)
def test_a_folder_is_one_guests(first: str, second: str) -> None:
    path = f"{folder_of_guest(first)}2026-01-01/x.png"
    assert guest_of_path(path) == first
    assert path.startswith(folder_of_guest(second)) == (first == second)
    assert folder_of_guest("local") == ""
    assert guest_of_path("2026-01-01/x.png") == "local"
    assert guest_of_path(f"guests/{first}") == "local", "a file there is nobody's folder"


JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(JSON, st.text(max_size=8), st.lists(st.one_of(st.text(max_size=2), st.integers(0, 2)), max_size=4))
def test_an_artifact_is_found_at_any_depth(beside: Any, name: str, way: list[str | int]) -> None:
    value: Any = f"artifact:{name}"
    for step in way:
        value = {step: value, "beside!": beside} if isinstance(step, str) else [beside, value]
    assert name in set(artifacts_named(value))
