"""One form from one declaration: a pipeline's parameters become components, and what a person set becomes a job."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from webui.core.consent import FIELD as CONSENT
from webui.core.errors import FieldError, LifelikeError, ParameterError
from webui.core.parameters import FILE_KINDS, Parameter, describe
from webui.core.specs import PipelineSpec

from . import viewer
from .answers import answer, refusal
from .arranging import arrange, slug, stands_first
from .choice_pictures import NO_PICTURES, ChoicePictures
from .options import ModelOptions
from .presets import PresetStore
from .widgets import Files, Widget, WidgetFactory

log = logging.getLogger(__name__)

QUIET: Mapping[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""For every event of the page: none waits in Gradio's queue, covers anything with a spinner, or is part of an API."""


@dataclass(frozen=True)
class FormServices:
    """What forms need of the application."""

    options: ModelOptions
    presets: PresetStore
    files: Files
    submit: Callable[[str, Mapping[str, Any]], Any]
    """(pipeline, raw parameters) -> Job. Raises LifelikeError."""
    pictures: ChoicePictures = NO_PICTURES


class Form:
    """The form of one pipeline: its components, its button and its viewer. ``build`` puts them into the open Blocks."""

    def __init__(self, spec: PipelineSpec, services: FormServices, element: str = "") -> None:
        self.spec = spec
        self.slug = element or slug(spec.id)
        self.rows = tuple(row for row in describe(spec.params) if row.kind != "record")
        self._services = services
        pictures = partial(services.pictures.addresses, spec)
        self._factory = WidgetFactory(self.slug, services.files, services.options, pictures)
        self.widgets: list[Widget] = []
        self.defaults = self._start_values()

    # Building

    def again(self) -> Form:
        """The same form, not built yet."""
        return Form(self.spec, self._services, self.slug)

    def build(self) -> None:
        """Called once, inside an open Blocks."""
        with gr.Row(elem_classes="ll-work", elem_id=f"work-{self.slug}", equal_height=False):
            with gr.Column(elem_classes="ll-first", min_width=0):
                self._build_rows([rows for rows in arrange(self.rows) if stands_first(rows[0])])
                with gr.Row(elem_classes="ll-go", equal_height=True):
                    words = "Generate" if self.spec.outputs in ("image", "video", "audio") else "Start"
                    generate = gr.Button(
                        words, variant="primary", elem_id=f"go-{self.slug}", elem_classes="ll-generate"
                    )
                    stop = gr.Button("Stop", elem_id=f"stop-{self.slug}", elem_classes="ll-stop", min_width=0)
                    self._build_takers()
                live = self._build_live()
            stage = viewer.build(self.slug, self.spec.id)
            with gr.Column(elem_classes="ll-settings", min_width=0):
                self._build_settings()
                presets = self._build_presets()
        self._wire(generate, stop, stage, presets)
        self._wire_live(live, stage)

    def _build_live(self) -> Any:
        """The switch of a form whose pipeline is fast enough to follow its sliders; None for the others."""
        if not self.spec.live:
            return None
        words = "Draws anew whenever a slider is let go"
        return gr.Checkbox(False, label="Live", info=words, elem_id=f"live-{self.slug}", interactive=True)

    def _wire_live(self, live: Any, stage: Any) -> None:
        if live is None:
            return
        parts = [widget.component for widget in self.widgets]
        for widget in self.widgets:
            if widget.rows[0].kind in ("number", "integer"):
                widget.component.release(self.start_live, [live, *parts], stage, api_name=False, **QUIET)

    def _build_takers(self) -> None:
        """Opens the menu of pipelines that can run this one; ``hand_over`` is what its entries ask for."""
        if not self.takers():
            return
        button = gr.Button(
            "Use for ...", elem_id=f"takers-{self.slug}", elem_classes="ll-small ll-takers", min_width=0, scale=0
        )
        button.click(None, None, None, js=f"() => {{ Lifelike.forms.takersMenu('{self.slug}') }}", **QUIET)

    def takers(self) -> list[tuple[PipelineSpec, Parameter]]:
        """Pipelines that can run this form's, each with its parameter that holds this one's parameters."""
        return self._services.options.takers(self.spec)

    def _build_settings(self) -> None:
        rest = [rows for rows in arrange(self.rows) if not stands_first(rows[0])]
        for advanced in (False, True):
            part = [rows for rows in rest if rows[0].advanced is advanced]
            if not part:
                continue
            if advanced:
                with gr.Accordion("Advanced", open=False, elem_classes="ll-advanced"):
                    self._build_groups(part)
            else:
                self._build_groups(part, begin_open=bool(part[0][0].group))

    def _build_groups(self, part: Sequence[tuple[Parameter, ...]], *, begin_open: bool = False) -> None:
        """Groups are closed, so that a form is short; ``begin_open``: but for the first, where nothing precedes it, and
        those with a step that is on.
        """
        for place, group in enumerate(dict.fromkeys(rows[0].group for rows in part)):
            members = [rows for rows in part if rows[0].group == group]
            if group:
                on = any(row.kind == "boolean" and row.default for rows in members for row in rows)
                with gr.Accordion(group, open=begin_open and (place == 0 or on), elem_classes="ll-group"):
                    self._build_rows(members)
            else:
                self._build_rows(members)

    def _build_rows(self, members: Sequence[tuple[Parameter, ...]]) -> None:
        with gr.Column(elem_classes="ll-grid", min_width=0):
            for rows in members:
                if rows[0].extra.get("edited_at"):
                    self._build_edited_list(rows)
                    continue
                if rows[0].kind != "model":
                    self.widgets.append(self._factory.build(rows, self.defaults))
                    continue
                with gr.Row(elem_classes="ll-model-row", equal_height=False):
                    widget = self._factory.build(rows, self.defaults)
                    again = gr.Button("Refresh", elem_classes="ll-icon ll-refresh", min_width=0, scale=0)
                self.widgets.append(widget)
                again.click(self._refresh_for(widget), widget.component, widget.component, **QUIET)

    def _build_edited_list(self, rows: Sequence[Parameter]) -> None:
        """A list that people fill themselves, beside the button that opens it."""
        row = rows[0]
        with gr.Row(elem_classes="ll-model-row", equal_height=False):
            self.widgets.append(self._factory.build(rows, self.defaults))
            edit = gr.Button(
                "Manage", elem_classes="ll-icon", elem_id=f"manage-{self.slug}-{row.name}", min_width=0, scale=0
            )
        said = json.dumps([row.label, row.extra["edited_at"], self.slug])
        edit.click(None, None, None, js=f"() => {{ Lifelike.lists.open(...{said}) }}", **QUIET)

    def _build_presets(self) -> tuple[Any, Any, Any]:
        with gr.Accordion("Presets", open=False, elem_classes="ll-presets") as part, gr.Row(equal_height=False):
            box = gr.Dropdown(
                self._services.presets.names(self.spec.id),
                value=None,
                label="Preset",
                info="Choose one, or type a name and save",
                allow_custom_value=True,
                interactive=True,
                elem_id=f"preset-{self.slug}",
                elem_classes="ll-field",
                scale=1,
            )
            save = gr.Button("Save", elem_classes="ll-small", elem_id=f"preset-save-{self.slug}", min_width=0, scale=0)
            delete = gr.Button(
                "Delete", elem_classes="ll-small", elem_id=f"preset-delete-{self.slug}", min_width=0, scale=0
            )
        # The page is made once, for everyone and for long: what was saved since is read when the list is opened.
        part.expand(self._preset_list, None, box, api_name=False, **QUIET)
        return box, save, delete

    # Events

    def _wire(self, generate: Any, stop: Any, stage: Any, presets: tuple[Any, Any, Any]) -> None:
        parts = [widget.component for widget in self.widgets]
        box, save, delete = presets
        # What each model recommended last: only values that a person left alone follow a new choice.
        suggested = gr.State(self._automatic(self.defaults))
        generate.click(self.start, parts, stage, api_name=self.spec.id.replace(".", "_"), **QUIET)
        stop.click(None, None, None, js=f"() => {{ Lifelike.forms.stop('{self.slug}') }}", **QUIET)
        stage.apply(self.apply, None, [stage, suggested, *parts], api_name=False, **QUIET)
        stage.hand(self.hand, parts, stage, api_name=False, **QUIET)
        for widget in self.widgets:
            if widget.rows[0].kind == "model":
                widget.component.input(
                    self.follow_model, [suggested, *parts], [suggested, *parts], api_name=False, **QUIET
                )
                widget.component.change(
                    None,
                    widget.component,
                    None,
                    js=f"(model) => {{ Lifelike.forms.model('{self.slug}', model) }}",
                    **QUIET,
                )
            followers = [one for one in self.widgets if self._lists_of(one, widget.names[0])]
            if followers:
                shown = [one.component for one in followers]
                relist = partial(self._relist, followers)
                widget.component.change(relist, [widget.component, *shown], shown, api_name=False, **QUIET)
        box.input(self.load_preset, box, [stage, suggested, *parts], api_name=False, **QUIET)
        save.click(self.save_preset, [box, *parts], [stage, box], api_name=False, **QUIET)
        delete.click(self.delete_preset, box, [stage, box], api_name=False, **QUIET)

    def start_live(self, on: bool, *values: Any) -> Any:
        """A slider was let go: as the button, where the person turned that on."""
        return self.start(*values) if on else gr.skip()

    def start(self, *values: Any) -> str:
        """The button: what the components hold becomes a job. The viewer is told the job's id, or what is wrong."""
        try:
            return self._submitted(self.collect(values))
        except LifelikeError as error:
            return answer(refusal(error))

    def apply(self, event: gr.EventData) -> list[Any]:
        """Set ``params``, as viewer or gallery ask; with ``fresh``, the rest to defaults; with ``start``, run it."""
        asked: dict[str, Any] = getattr(event, "_data", None) or {}
        known = {row.name for row in self.rows} - {CONSENT}  # asked anew for each picture
        params = {name: value for name, value in (asked.get("params") or {}).items() if name in known}
        if asked.get("fresh"):
            automatic = self._automatic({**self.defaults, **params})
            params = {**self.defaults, **automatic, **params}
        outcome, updates = self.shown(params)
        told = answer(outcome)
        if asked.get("start") and not outcome.get("errors"):
            try:
                told = self._submitted({**self.defaults, **params})
            except LifelikeError as error:
                told = answer(refusal(error))
        return [told, self._automatic({**self.defaults, **params}), *updates]

    def hand(self, event: gr.EventData, *values: Any) -> Any:
        """An entry of the menu was chosen: what is set here, for the form of the ``pipeline`` that it names."""
        asked = (getattr(event, "_data", None) or {}).get("pipeline")
        chosen = next((one for one in self.takers() if one[0].id == asked), None)
        return gr.skip() if chosen is None else self.hand_over(*chosen, *values)

    def hand_over(self, holder: PipelineSpec, row: Parameter, *values: Any) -> str:
        """What differs from the defaults, for the form of ``holder``: this pipeline's id and its parameters."""
        try:
            raw = self.collect(values)
        except LifelikeError as error:
            return answer(refusal(error))
        usual = json.loads(json.dumps(self.defaults, default=str))  # lists where declarations have tuples
        changed = {name: value for name, value in raw.items() if value != usual.get(name)}
        return answer({"send": {"pipeline": holder.id, "params": {row.of: self.spec.id, row.name: changed}}})

    @staticmethod
    def _lists_of(widget: Widget, name: str) -> bool:
        return widget.rows[0].kind == "dynamic_choice" and widget.rows[0].of == name

    def _relist(self, followers: Sequence[Widget], pipeline: Any, *chosen: Any) -> Any:
        """Another pipeline was chosen: lists of its parameters, where those of the old one stood."""
        updates = []
        for widget, value in zip(followers, chosen, strict=True):
            choices = self._services.options.offered(widget.rows[0], str(pipeline or ""))
            kept = value if value in {name for _, name in choices} else ""
            updates.append(gr.Dropdown(choices=choices, value=kept))
        return updates if len(updates) > 1 else updates[0]

    def follow_model(self, suggested: Mapping[str, Any], *values: Any) -> list[Any]:
        """Another model was chosen: its values go where the old one's were left as they were."""
        try:
            params = self.collect(values, files=False)
        except ParameterError:
            return [suggested, *(gr.skip() for _ in self.widgets)]
        now = self._automatic(params)
        changed = {
            name: value
            for name, value in now.items()
            if params.get(name) in (None, suggested.get(name)) and params.get(name) != value
        }
        _, updates = self.shown({**params, **changed}, only=set(changed))
        return [now, *updates]

    def load_preset(self, name: str | None) -> list[Any]:
        """A name of the list was chosen; a new one that is being typed changes nothing."""
        nothing = [gr.skip(), gr.skip(), *(gr.skip() for _ in self.widgets)]
        if not name or name not in self._services.presets.names(self.spec.id):
            return nothing
        known = {row.name for row in self.rows}
        params = {key: value for key, value in self._services.presets.get(self.spec.id, name).items() if key in known}
        outcome, updates = self.shown(params)
        return [answer(outcome), self._automatic({**self.defaults, **params}), *updates]

    def save_preset(self, name: str | None, *values: Any) -> list[Any]:
        """Seeds and files are left out: a preset is a way of working, not one picture."""
        left_out = {CONSENT, *(row.name for row in self.rows if row.kind == "seed" or row.kind in FILE_KINDS)}
        try:
            params = {key: value for key, value in self.collect(values, files=False).items() if key not in left_out}
            kept = self._services.presets.save(self.spec.id, name or "", params)
        except LifelikeError as error:
            return [answer(refusal(error)), gr.skip()]
        return [answer({"said": "The preset is saved."}), self._preset_list(kept)]

    def delete_preset(self, name: str | None) -> list[Any]:
        try:
            self._services.presets.delete(self.spec.id, name or "")
        except LifelikeError as error:
            return [answer(refusal(error)), gr.skip()]
        return [answer({"said": "The preset is deleted."}), self._preset_list()]

    def _preset_list(self, chosen: str | None = None) -> Any:
        """The box of presets with the names there are now."""
        return gr.Dropdown(choices=[(one, one) for one in self._services.presets.names(self.spec.id)], value=chosen)

    def _refresh_for(self, widget: Widget) -> Callable[[Any], Any]:
        return lambda value: gr.Dropdown(choices=self._factory.choices_with(widget.rows[0], value or "", fresh=True))

    # Values

    def collect(self, values: Sequence[Any], *, files: bool = True) -> dict[str, Any]:
        """The components' values, in the order of ``widgets``, as raw parameters. Raises ParameterError.

        Without ``files`` those are left out: nothing is stored.
        """
        raw: dict[str, Any] = {}
        wrong: list[FieldError] = []
        for widget, value in zip(self.widgets, values, strict=True):
            if not files and widget.rows[0].kind in FILE_KINDS:
                continue
            try:
                raw.update(widget.read(value))
            except ParameterError as error:
                wrong += [FieldError(widget.names[0], one.message, one.got) for one in error.fields]
        if wrong:
            raise ParameterError(wrong)
        optional = {row.name for row in self.rows if row.default is None and row.auto is None and not row.required}
        empty = {
            name for name, value in raw.items() if value is None and name not in optional and not self._has_auto(name)
        }
        return {name: value for name, value in raw.items() if name not in empty}

    def shown(self, params: Mapping[str, Any], only: set[str] | None = None) -> tuple[dict[str, Any], list[Any]]:
        """``params`` as updates of the components, in the order of ``widgets``, and what could not be shown."""
        names = set(params) if only is None else only
        updates: list[Any] = []
        wrong: list[dict[str, str]] = []
        for widget in self.widgets:
            if names.isdisjoint(widget.names):
                updates.append(gr.skip())
                continue
            wanted = (*widget.names, *(row.of for row in widget.rows if row.of))
            values = {name: params.get(name, self.defaults.get(name)) for name in wanted}
            try:
                updates.append(self._update(widget, self._filled(values, params)))
            except (LifelikeError, OSError) as error:
                updates.append(gr.skip())
                wrong.append({"name": widget.names[0], "message": str(error)})
        return ({"errors": wrong} if wrong else {}), updates

    def _update(self, widget: Widget, values: Mapping[str, Any]) -> Any:
        row = widget.rows[0]
        value = widget.show(values)
        if row.kind == "dynamic_choices":
            return gr.update(choices=self._factory.choices_for(row, value), value=value)
        if row.kind in ("model", "dynamic_choice"):
            value = value or (self._services.options.default(row.source) if row.kind == "model" else "")
            return gr.Dropdown(
                choices=self._factory.choices_with(row, value, str(values.get(row.of) or "")), value=value
            )
        return value

    def _filled(self, values: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        automatic = self._automatic({**self.defaults, **params})
        return {name: automatic.get(name) if value is None else value for name, value in values.items()}

    def _start_values(self) -> dict[str, Any]:
        values = {row.name: row.default for row in self.rows}
        for row in self.rows:
            if row.kind == "model" and not values[row.name]:
                values[row.name] = self._services.options.default(row.source)
        automatic = self._automatic(values)
        return {name: automatic.get(name) if value is None else value for name, value in values.items()}

    def _automatic(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._services.options.automatic(self.rows, params)

    def examples(self) -> list[Mapping[str, Any]]:
        """Parameter sets to begin with: the chosen model's own where it has some, else the pipeline's."""
        for row in self.rows:
            if row.kind == "model":
                known = {one.name for one in self.rows}
                own = self._services.options.examples(row.source, str(self.defaults.get(row.name) or ""))
                fitting = [one for one in own if known.issuperset(set(one) - {"title"})]
                if fitting:
                    return fitting
        return list(self.spec.examples)

    def model_sizes(self) -> dict[str, list[int]]:
        """Width and height that each model recommends, by its reference."""
        sizes: dict[str, list[int]] = {}
        for row in self.rows:
            if row.kind != "model":
                continue
            for _, ref in self._services.options.choices(row.source):
                suggests = self._services.options.recommended(row.source, ref)
                if suggests.get("width") and suggests.get("height"):
                    sizes[ref] = [int(suggests["width"]), int(suggests["height"])]
        return sizes

    def model_folder(self, row: Parameter) -> str:
        """Where what ``row`` offers is put."""
        return self._services.options.folder_of(row.source)

    def held(self) -> dict[str, Any] | None:
        """Of a form whose pipeline runs others: the fields for which one and its parameters, and which it can run."""
        for row in self.rows:
            if row.kind == "parameters":
                named = next(one for one in self.rows if one.name == row.of)
                can = [value for _, value in self._services.options.offered(named)]
                return {"pipeline": row.of, "params": row.name, "can": can}
        return None

    def _has_auto(self, name: str) -> bool:
        return any(row.name == name and row.auto is not None for row in self.rows)

    def _submitted(self, raw: Mapping[str, Any]) -> str:
        """Errors of no known kind are the application's own fault: logged, and the person is told where to look."""
        try:
            job = self._services.submit(self.spec.id, raw)
        except LifelikeError:
            raise
        except Exception as error:  # the page must answer whatever a service does
            log.exception("submitting %s failed", self.spec.id)
            raise LifelikeError(f"The job could not be queued: {error}", hint="The server's log says more.") from error
        return answer({"job": job.id, "form": raw})
