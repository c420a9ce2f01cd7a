"""Declared once: description, validation and freezing of parameters."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui import api
from webui.core.validating import SEED_MAX, freeze


class Everything(api.Params):
    text: str = api.text(label="Text")
    prompt: str = api.prompt(label="Prompt", rows=4)
    model: str = api.model()
    steps: int = api.integer(20, minimum=1, maximum=150, label="Steps")
    guidance_scale: float | None = api.number(None, minimum=0, maximum=30, label="Guidance", auto=7.0)
    sampler: str = api.choice("Euler", ["Euler", "DDIM"], label="Sampler", group="Sampling")
    lora: str = api.dynamic_choice("", "lora", label="LoRA", advanced=True)
    seed: int = api.seed()
    width: int | None = api.size(label="Width")
    height: int | None = api.size(label="Height")
    tiling: bool = api.boolean(False, label="Tiling")
    image: str | None = api.image(label="Image", mask="mask")
    mask: str | None = api.image(label="Mask")
    references: tuple[str, ...] = api.images(label="References")
    tint: str = api.colour(label="Tint")
    sound: str | None = api.audio(label="Sound")
    archive: str | None = api.file(label="Archive", accept=[".zip"])
    folder: str = api.folder(label="Folder")
    pipeline: str = api.dynamic_choice("", "pipelines", label="Pipeline")
    settings: api.ParameterValues = api.parameters("pipeline", label="Its parameters")


def test_every_widget_is_described() -> None:
    rows = {row.name: row for row in api.describe(Everything)}
    assert list(rows) == list(Everything.model_fields)
    assert rows["steps"].minimum == 1
    assert rows["steps"].maximum == 150
    assert rows["steps"].option == "--steps"
    assert rows["guidance_scale"].option == "--guidance-scale"
    assert rows["guidance_scale"].auto == 7.0
    assert rows["guidance_scale"].maximum == 30
    assert rows["sampler"].options == (("Euler", "Euler"), ("DDIM", "DDIM"))
    assert rows["sampler"].group == "Sampling"
    assert rows["image"].kind == "image_mask"
    assert rows["image"].extra["mask"] == "mask"
    assert rows["lora"].advanced
    assert rows["references"].kind == "images"
    assert rows["archive"].extra["accept"] == [".zip"]
    assert (rows["settings"].kind, rows["settings"].of, rows["settings"].default) == ("parameters", "pipeline", {})
    assert json.dumps(Everything.model_json_schema())


def test_a_field_without_a_widget_is_refused() -> None:
    class Plain(api.Params):
        count: int = 3

    with pytest.raises(TypeError, match="'count' of Plain has no widget"):
        api.describe(Plain)


@pytest.mark.parametrize(
    ("raw", "name", "says"),
    [
        ({"stepz": 3}, "stepz", "did you mean 'steps'"),
        ({"steps": 0}, "steps", "expected at least 1"),
        ({"steps": "many"}, "steps", "expected a whole number"),
        ({"steps": 2.5}, "steps", "expected a whole number"),
        ({"steps": 151}, "steps", "expected at most 150"),
        ({"guidance_scale": "x"}, "guidance_scale", "expected a number"),
        ({"tiling": "perhaps"}, "tiling", "expected true or false"),
        ({"text": 5}, "text", "expected a text"),
        ({"references": "one"}, "references", "expected a list"),
        ({"sampler": "Oiler"}, "sampler", "expected one of Euler, DDIM"),
        ({"width": 65}, "width", "multiple of 8"),
        ({"guidance_scale": math.nan}, "guidance_scale", "finite"),
        ({"tint": "red"}, "tint", "a colour such as #336699"),
        ({"seed": -2}, "seed", "expected at least -1"),
    ],
)
def test_a_wrong_value_is_named(raw: dict[str, Any], name: str, says: str) -> None:
    with pytest.raises(api.ParameterError) as caught:
        api.validate(Everything, raw)
    assert [field.name for field in caught.value.fields] == [name]
    assert says in caught.value.fields[0].message


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(api.ParameterError) as caught:
        api.validate(Everything, {"steps": 0, "width": 3, "nonsense": 1})
    assert {field.name for field in caught.value.fields} == {"steps", "width", "nonsense"}


def test_a_long_wrong_value_is_shortened() -> None:
    with pytest.raises(api.ParameterError) as caught:
        api.validate(Everything, {"steps": "x" * 5000})
    assert len(caught.value.fields[0].got) <= 80


def test_freezing_leaves_nothing_open() -> None:
    def choose(row: api.Parameter, ref: str) -> tuple[str, dict[str, Any]]:
        assert (row.name, ref) == ("model", "")
        return "starter/avatar", {"width": 128, "guidance_scale": 4.0}

    frozen = freeze(
        Everything, {"prompt": "a hat", "image": "data:x"}, choose_model=choose, intern=lambda row, value: "upload:1"
    )
    assert frozen["model"] == "starter/avatar"
    assert frozen["width"] == 128
    assert frozen["height"] == 512
    assert frozen["guidance_scale"] == 4.0
    assert frozen["image"] == "upload:1"
    assert frozen["mask"] is None
    assert 0 <= frozen["seed"] <= SEED_MAX


def test_what_was_given_beats_what_a_model_recommends() -> None:
    frozen = freeze(Everything, {"width": 256, "seed": 7}, choose_model=lambda row, ref: (ref or "m", {"width": 128}))
    assert frozen["width"] == 256
    assert frozen["seed"] == 7


@given(
    st.fixed_dictionaries({}, optional={
        "prompt": st.text(max_size=50),
        "steps": st.integers(1, 150),
        "guidance_scale": st.none() | st.floats(0, 30),
        "sampler": st.sampled_from(["Euler", "DDIM"]),
        "seed": st.integers(-1, 2**63 - 1),
        "width": st.none() | st.integers(8, 512).map(lambda n: n * 8),
        "tiling": st.booleans(),
        "references": st.lists(st.text(min_size=1, max_size=9), max_size=3),
    })
)  # fmt: skip
def test_freezing_twice_changes_nothing(raw: dict[str, Any]) -> None:
    once = freeze(Everything, raw)
    assert freeze(Everything, once) == once
    assert json.loads(json.dumps(once)) == once


def test_parameters_of_another_pipeline_are_an_object_or_its_text() -> None:
    for said in ({"steps": 4}, '{"steps": 4}', ' {"steps":4}\n'):
        assert freeze(Everything, {"settings": said})["settings"] == {"steps": 4}
    assert freeze(Everything, {"settings": " "})["settings"] == {}
    for wrong in ("{", "[1]", "4", "[" * 100_000, 4, None):
        with pytest.raises(api.ParameterError) as caught:
            freeze(Everything, {"settings": wrong})
        assert [field.name for field in caught.value.fields] == ["settings"]
