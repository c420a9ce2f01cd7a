"""A declared form: a component for every kind, values there and back, jobs and errors from the button."""

from __future__ import annotations

import io
import json
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from tests.web_ui.loops import closed_loops
from webui.api import Params, consent, number
from webui.core.errors import ParameterError
from webui.core.parameters import Parameter, WidgetKind, describe
from webui.core.specs import PipelineSpec
from webui.core.validating import validate
from webui.web.services import Services
from webui.web.ui.arranging import arrange
from webui.web.ui.forms import Form, FormServices
from webui.web.ui.page import form_services
from webui.web.ui.values import form_help, hex_colour, split_mask, uploaded_file


@pytest.fixture(scope="session")
def tools(services: Services) -> FormServices:
    return form_services(services)


def make(services: Services, tools: FormServices, pipeline: str) -> Form:
    form = Form(services.host.pipelines[pipeline], tools)
    with closed_loops(), gr.Blocks(analytics_enabled=False):
        form.build()
    return form


@pytest.fixture(scope="session")
def everything(services: Services, tools: FormServices) -> Form:
    return make(services, tools, "sketch.everything")


@pytest.fixture(scope="session")
def draw(services: Services, tools: FormServices) -> Form:
    return make(services, tools, "sketch.draw")


def shown_values(form: Form) -> list[Any]:
    """What the components of a fresh form send back when nothing was touched."""
    return [
        None if widget.rows[0].kind in ("image_mask", "audio", "file") else widget.component.value
        for widget in form.widgets
    ]


def value_of(form: Form, name: str, values: list[Any]) -> Any:
    return next(value for widget, value in zip(form.widgets, values, strict=True) if name in widget.names)


def with_value(form: Form, name: str, value: Any) -> list[Any]:
    return [
        value if name in widget.names else old for widget, old in zip(form.widgets, shown_values(form), strict=True)
    ]


def event(**data: Any) -> gr.EventData:
    return gr.EventData(target=None, _data=data)


def test_the_test_declares_every_kind_of_widget(everything: Form, draw: Form) -> None:
    kinds = {row.kind for row in (*everything.rows, *draw.rows)}
    assert kinds == set(typing.get_args(WidgetKind)) - {"record"}
    assert [row.name for row in describe(everything.spec.params) if row.kind == "record"] == ["origin"]


def test_every_parameter_has_exactly_one_component(everything: Form) -> None:
    names = [name for widget in everything.widgets for name in widget.names]
    assert sorted(names) == sorted(row.name for row in everything.rows)


def test_width_and_height_share_a_widget_and_so_do_image_and_mask(everything: Form) -> None:
    together = {tuple(row.name for row in rows) for rows in arrange(everything.rows)}
    assert ("width", "height") in together
    assert ("image", "mask") in together


def test_an_untouched_form_gives_the_declared_defaults(everything: Form) -> None:
    raw = everything.collect(shown_values(everything))
    params = validate(everything.spec.params, raw)
    defaults = validate(everything.spec.params, {})
    expected = {**defaults.model_dump(), "width": 512, "height": 512}
    assert params.model_dump() == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", "a title"),
        ("prompt", "a {cat} (sat:1.2), [on] <lora:x:1>\nthe mat"),
        ("model", "some/hub-id"),
        ("upscaler", "typed by hand"),
        ("count", 7),
        ("amount", -0.75),
        ("mode", "d"),
        ("seed", 2**63 - 1),
        ("width", 768),
        ("tiled", False),
        ("tint", "#a1b2c3"),
        ("target", "there/below"),
        ("reference", "upload:" + "0" * 64 + ".png"),
        ("several", ("artifact:x-0", "upload:" + "1" * 64 + ".png")),
    ],
)
def test_a_value_is_the_same_after_it_was_shown(everything: Form, name: str, value: Any) -> None:
    _, updates = everything.shown({name: value})
    update = value_of(everything, name, updates)
    shown = update["value"] if isinstance(update, dict) and update.get("__type__") == "update" else update
    # What a component holds goes through JSON on its way from the browser.
    raw = everything.collect(with_value(everything, name, json.loads(json.dumps(getattr(shown, "value", shown)))))
    assert getattr(validate(everything.spec.params, raw), name) == value


def test_a_painted_picture_becomes_an_image_and_a_mask_of_its_size(services: Services, everything: Form) -> None:
    layer = Image.new("RGBA", (40, 30), (0, 0, 0, 0))
    layer.paste((255, 255, 255, 255), (10, 10, 20, 20))
    painted = {"background": Image.new("RGBA", (40, 30), "red"), "layers": [layer], "composite": None}
    raw = everything.collect(with_value(everything, "image", painted))
    mask = services.uploads.open_image(raw["mask"])
    assert services.uploads.open_image(raw["image"]).size == mask.size == (40, 30)
    assert mask.convert("L").getbbox() == (10, 10, 20, 20)


def test_a_picture_without_paint_has_no_mask() -> None:
    background = Image.new("RGBA", (8, 8), "red")
    empty = {"background": background, "layers": [Image.new("RGBA", (8, 8), (0, 0, 0, 0))], "composite": None}
    assert split_mask(empty) == (background, None)
    assert split_mask(None) == (None, None)


def test_a_stored_picture_is_shown_in_the_editor(services: Services, everything: Form) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "blue").save(buffer, "PNG")
    ref = services.uploads.put(buffer.getvalue(), "blue.png")
    outcome, updates = everything.shown({"image": ref})
    shown = value_of(everything, "image", updates)
    assert outcome == {}
    assert Path(shown["background"]).read_bytes() == buffer.getvalue()
    assert Path(shown["background"]).is_relative_to(get_upload_folder())


def test_a_picture_that_is_gone_is_told_at_its_field(everything: Form) -> None:
    outcome, _ = everything.shown({"image": "upload:" + "f" * 64 + ".png"})
    assert outcome["errors"][0]["name"] == "image"


def test_only_references_come_from_picture_fields(everything: Form) -> None:
    for value in ("/etc/passwd", "http://example.org/x.png", "file:///etc/passwd"):
        assert everything.collect(with_value(everything, "reference", value))["reference"] is None


def test_a_file_must_lie_in_the_upload_folder(tmp_path: Path) -> None:
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    with pytest.raises(ParameterError) as caught:
        uploaded_file("archive", str(outside))
    assert caught.value.fields[0].name == "archive"


@pytest.mark.parametrize(
    ("met", "expected"),
    [("rgba(51, 102, 153, 1)", "#336699"), ("rgb(255,0,10.4)", "#ff000a"), ("#33669980", "#336699"), ("red", "red")],
)
def test_colours_become_hexadecimal(met: str, expected: str) -> None:
    assert hex_colour(met) == expected


@pytest.mark.parametrize(
    ("kind", "auto", "declared", "shown"),
    [
        ("integer", 20, "More are slower; empty: the model's own, else 20", "More are slower"),
        ("model", None, "Empty: the first of this kind", ""),
        ("image", None, "Empty: the picture to begin with", "Empty: the picture to begin with"),
        ("seed", None, "-1 draws one at random; image i has seed + i", "-1 draws one at random; image i has seed + i"),
    ],
)
def test_a_form_speaks_of_empty_values_it_shows(kind: WidgetKind, auto: Any, declared: str, shown: str) -> None:
    assert form_help(Parameter("name", kind, "Label", help=declared, auto=auto)) == shown


def test_the_button_queues_a_job(services: Services, draw: Form) -> None:
    said = json.loads(draw.start(*with_value(draw, "prompt", "a hill")))
    job = services.jobs.get(said["job"])
    assert job.params["prompt"] == "a hill"
    assert job.params["width"] == 128
    assert 0 <= job.params["seed"] < 2**32


def test_a_live_form_starts_when_a_slider_is_let_go(services: Services, tools: FormServices, draw: Form) -> None:
    live = Form(replace(draw.spec, live=True), tools, "live")
    with closed_loops(), gr.Blocks(analytics_enabled=False) as page:
        live.build()
    sliders = {widget.component._id for widget in live.widgets if widget.rows[0].kind in ("number", "integer")}
    released = [one for one in page.fns.values() if any(target[1] == "release" for target in one.targets)]
    assert {target[0] for one in released for target in one.targets} == sliders
    before = len(services.jobs.list())
    live.start_live(False, *shown_values(live))
    assert len(services.jobs.list()) == before
    assert "job" in json.loads(live.start_live(True, *shown_values(live)))


def test_the_same_answer_twice_is_still_a_change(draw: Form) -> None:
    values = with_value(draw, "seed", "no number")
    assert draw.start(*values) != draw.start(*values)


def test_wrong_values_are_told_by_field(draw: Form) -> None:
    said = json.loads(draw.start(*with_value(draw, "width", {"width": 100, "height": 128})))
    assert [one["name"] for one in said["errors"]] == ["width"]
    assert "job" not in said
    said = json.loads(draw.start(*with_value(draw, "seed", "12x")))
    assert said["errors"] == [{"name": "seed", "message": "expected a whole number", "got": "12x"}]


def test_an_example_fills_the_form_and_starts(services: Services, draw: Form) -> None:
    answer, _, *updates = draw.apply(event(params={"prompt": "a red hill", "steps": 4}, fresh=True, start=True))
    job = services.jobs.get(json.loads(answer)["job"])
    assert (job.params["prompt"], job.params["steps"]) == ("a red hill", 4)
    assert value_of(draw, "prompt", updates) == "a red hill"
    assert value_of(draw, "guidance_scale", updates) == 4.0


def test_a_seed_set_from_a_picture_leaves_the_rest(draw: Form) -> None:
    answer, _, *updates = draw.apply(event(params={"seed": "9007199254740993", "unknown": 1}))
    assert "job" not in json.loads(answer)
    assert value_of(draw, "seed", updates) == "9007199254740993"
    assert value_of(draw, "prompt", updates) == gr.skip()


def test_presets_keep_settings_but_neither_seed_nor_files(everything: Form, services: Services) -> None:
    everything.save_preset("  my  way ", *with_value(everything, "count", 9))
    kept = form_services(services).presets.get("sketch.everything", "my way")
    assert kept["count"] == 9
    assert not {"seed", "image", "mask", "reference", "several", "sound", "archive"} & set(kept)
    _, _, *updates = everything.load_preset("my way")
    assert value_of(everything, "count", updates) == 9
    _, update = everything.delete_preset("my way")
    assert form_services(services).presets.names("sketch.everything") == []
    assert update.value is None


def test_labels_are_the_declared_ones(everything: Form) -> None:
    labels = {widget.names[0]: widget.component.label for widget in everything.widgets}
    assert labels == {rows[0].name: rows[0].label for rows in arrange(everything.rows)}


def test_a_list_of_parameters_follows_the_pipeline(everything: Form, draw: Form) -> None:
    listed = next(widget for widget in everything.widgets if widget.names == ("parameter",))
    assert ("Steps", "steps") in listed.component.choices
    assert [value for _, value in listed.component.choices] == ["", *(row.name for row in draw.rows)]
    update = everything._relist([listed], "sketch.blend", "steps")
    assert [value for _, value in update.choices] == ["", "image", "others", "strength", "seed"]
    assert update.value == ""
    assert everything._relist([listed], "sketch.blend", "seed").value == "seed"
    _, updates = everything.shown({"pipeline": "sketch.blend", "parameter": "strength"})
    shown = value_of(everything, "parameter", updates)
    assert ("Strength", "strength") in shown.choices


def test_a_form_hands_its_settings_over(services: Services, tools: FormServices, draw: Form, everything: Form) -> None:
    (holder, row) = tools.options.takers(draw.spec)[0]
    assert (holder.id, row.name) == ("sketch.everything", "settings")
    assert tools.options.takers(holder) == []  # one that runs others is not run by others
    said = json.loads(draw.hand_over(holder, row, *with_value(draw, "steps", 30)))
    params = {"pipeline": "sketch.draw", "settings": {"steps": 30}}
    assert said["send"] == {"pipeline": "sketch.everything", "params": params}
    outcome, updates = everything.shown(said["send"]["params"])
    assert outcome == {}
    assert json.loads(value_of(everything, "settings", updates)) == {"steps": 30}
    wrong = json.loads(draw.hand_over(holder, row, *with_value(draw, "seed", "x")))
    assert wrong["errors"][0]["name"] == "seed"
    chosen = gr.EventData(None, {"pipeline": holder.id})
    assert json.loads(draw.hand(chosen, *with_value(draw, "steps", 30)))["send"] == said["send"]
    nobody = gr.EventData(None, {"pipeline": "sketch.draw"})
    assert draw.hand(nobody, *with_value(draw, "steps", 30)) == gr.skip()


class AgreedParams(Params):
    strength: float = number(0.5, label="Strength", minimum=0, maximum=1)
    consent: bool = consent()


def test_consent_is_given_anew_each_time(tools: FormServices) -> None:
    form = Form(PipelineSpec(id="x.agreed", title="Agreed", params=AgreedParams, run="x:Y", needs_consent=True), tools)
    with closed_loops(), gr.Blocks(analytics_enabled=False):
        form.build()
    event = gr.EventData(None, {"params": {"strength": 0.8, "consent": True}})
    _, _, *updates = form.apply(event)
    assert value_of(form, "strength", updates) == 0.8
    assert value_of(form, "consent", updates) == gr.skip()
    kept = form.save_preset("agreed", 0.8, True)
    assert "said" in json.loads(kept[0])
    assert tools.presets.get("x.agreed", "agreed") == {"strength": 0.8}
