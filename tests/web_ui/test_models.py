"""A chosen model's recommended values go where a person left the automatic ones, never over what was set by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.web_ui.loops import closed_loops
from webui.api import Params, PipelineSpec, integer, model, size
from webui.catalog.catalog import Catalog
from webui.core.settings import Settings
from webui.web.ui.forms import Form, FormServices
from webui.web.ui.options import ModelOptions
from webui.web.ui.presets import PresetStore
from webui.web.ui.widgets import Files


class MakeParams(Params):
    """Parameters whose automatic values come from the model."""

    model: str = model(kind="text_to_image")
    width: int | None = size(label="Width")
    height: int | None = size(label="Height")
    steps: int | None = integer(None, minimum=1, maximum=99, label="Steps", auto=20)


def add_model(root: Path, name: str, **recommended: Any) -> None:
    """A diffusers folder without components: all that the catalog reads of it."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableDiffusionPipeline"}), encoding="utf-8")
    facts = {
        "title": name,
        "recommended": recommended,
        "examples": [
            {"title": name, "steps": 3},
        ],
    }
    (folder / "lifelike.json").write_text(json.dumps(facts), encoding="utf-8")


@pytest.fixture
def form(tmp_path: Path) -> Form:
    models = tmp_path / "models"
    add_model(models, "a-small", width=128, height=128, steps=12)
    add_model(models, "b-large", width=1024, height=768, steps=30)
    catalog = Catalog(Settings(data_dir=tmp_path / "data", models_dirs=(models,)))
    files = Files(put=lambda data, name: "", path=Path)
    services = FormServices(ModelOptions(catalog), PresetStore(tmp_path / "presets"), files, lambda pipeline, raw: None)
    made = Form(PipelineSpec(id="x.make", title="Make", params=MakeParams, run="x:Y"), services)
    with closed_loops(), gr.Blocks(analytics_enabled=False):
        made.build()
    return made


def values(form: Form, **changes: Any) -> list[Any]:
    """What the components hold, by the first name of each."""
    return [changes.get(widget.names[0], widget.component.value) for widget in form.widgets]


def after(form: Form, updates: list[Any]) -> dict[str, Any]:
    """Which components are changed, and to what."""
    return {
        widget.names[0]: update for widget, update in zip(form.widgets, updates, strict=True) if update != gr.skip()
    }


def test_the_form_starts_with_the_default_models_values(form: Form) -> None:
    assert form.defaults == {"model": "a-small", "width": 128, "height": 128, "steps": 12}
    assert form.model_sizes() == {"a-small": [128, 128], "b-large": [1024, 768]}
    assert form.examples() == [{"title": "a-small", "steps": 3}]


def test_another_model_brings_its_values(form: Form) -> None:
    suggested = {"width": 128, "height": 128, "steps": 12}
    now, *updates = form.follow_model(suggested, *values(form, model="b-large"))
    assert now == {"width": 1024, "height": 768, "steps": 30}
    assert after(form, updates) == {"width": {"width": 1024, "height": 768}, "steps": 30}


def test_what_was_set_by_hand_stays(form: Form) -> None:
    suggested = {"width": 128, "height": 128, "steps": 12}
    _, *updates = form.follow_model(suggested, *values(form, model="b-large", steps=50))
    assert after(form, updates) == {"width": {"width": 1024, "height": 768}}


def test_an_unknown_model_brings_the_declared_values(form: Form) -> None:
    now, *_ = form.follow_model({"steps": 12}, *values(form, model="someone/hub-id"))
    assert now == {"width": 512, "height": 512, "steps": 20}


def test_a_list_is_shown_by_its_labels_where_they_can_be_read(tmp_path: Path) -> None:
    def broken() -> dict[str, str]:
        raise OSError("gone")

    catalog = Catalog(Settings(data_dir=tmp_path / "data", models_dirs=(tmp_path,)))
    lists = {"x.some": lambda: ["a", "b"], "x.more": lambda: ["c"], "x.none": broken}
    labels = {"x.some": lambda: {"a": "Apple"}, "x.more": broken}
    options = ModelOptions(catalog, lists, labels=labels)
    assert options.choices("x.some") == [("Apple", "a"), ("b", "b")]
    assert options.choices("x.more") == [("c", "c")]
    assert options.choices("x.none") == []
