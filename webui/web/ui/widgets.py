"""One declared parameter -> one Gradio component, and back: what a person edits becomes a raw parameter value."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from webui.core.errors import FieldError, ParameterError
from webui.core.parameters import Parameter

from .options import ModelOptions
from .values import form_help, hex_colour, object_text, png_bytes, split_mask, uploaded_file

SEGMENTS = 3
"""A choice of at most this many options is shown as buttons side by side."""
SIZE_PRESETS = ("1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")

_MOUNT = "Lifelike.fields.mount(element, props, watch)"


@dataclass(frozen=True)
class Files:
    """The upload store as widgets need it; ``put`` and ``path`` raise LifelikeError."""

    put: Callable[[bytes, str], str]
    path: Callable[[str], Path]


@dataclass(frozen=True)
class Widget:
    """A component that edits the parameters ``rows`` (several for a size, and for an image with its mask)."""

    rows: tuple[Parameter, ...]
    component: Any
    read: Callable[[Any], dict[str, Any]]
    """The component's value -> raw values of its parameters. Raises ParameterError."""
    show: Callable[[Mapping[str, Any]], Any]
    """Parameters, with a value for each row -> the component's value. Raises LifelikeError for a file that is gone."""
    event: str = "change"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(row.name for row in self.rows)


class WidgetFactory:
    """Makes the widgets of one form. ``slug`` is unique in the page and begins every ``elem_id``."""

    def __init__(
        self, slug: str, files: Files, options: ModelOptions, pictures: Callable[[Parameter], Mapping[str, str]]
    ) -> None:
        """``pictures``: of a choice, value -> address of its picture; empty where it has none."""
        self._slug = slug
        self._files = files
        self._options = options
        self._pictures = pictures

    def build(self, rows: Sequence[Parameter], values: Mapping[str, Any]) -> Widget:
        """The widget for ``rows``, inside the open Blocks, showing ``values``."""
        row = rows[0]
        common = {
            "label": row.label,
            "elem_id": self.element(row.name),
            "elem_classes": ["ll-field", f"ll-{row.kind.replace('_', '-')}"],
        }
        make = getattr(self, f"_{row.kind}")
        widget: Widget = make(tuple(rows), values, common)
        return widget

    def element(self, name: str) -> str:
        """The ``elem_id`` of a parameter's component."""
        return f"f-{self._slug}-{name}"

    # Text

    def _text(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        box = gr.Textbox(
            values[row.name] or "",
            lines=1,
            max_lines=1,
            placeholder=row.extra.get("placeholder"),
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        return _plain(row, box, str, event="input")

    def _prompt(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        lines = int(row.extra.get("rows", 3))
        box = gr.Textbox(
            values[row.name] or "",
            lines=lines,
            max_lines=lines + 6,
            placeholder=row.extra.get("placeholder"),
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        return _plain(row, box, str, event="input")

    def _parameters(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        """JSON, one parameter a line."""
        row = rows[0]
        box = gr.Textbox(
            object_text(values[row.name]),
            lines=4,
            max_lines=16,
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        shown: Callable[[Mapping[str, Any]], Any] = lambda params: object_text(params[row.name])  # noqa: E731
        return Widget((row,), box, lambda met: {row.name: str(met or "")}, shown, "input")

    def _folder(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        box = gr.Textbox(
            values[row.name] or "", lines=1, max_lines=1, info=form_help(row) or None, interactive=True, **common
        )
        return _plain(row, box, lambda text: str(text).strip(), event="input")

    # Numbers

    def _integer(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        return self._slider(rows[0], values, common, precision=0)

    def _number(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        return self._slider(rows[0], values, common, precision=None)

    def _slider(
        self, row: Parameter, values: Mapping[str, Any], common: dict[str, Any], *, precision: int | None
    ) -> Widget:
        value = values[row.name]
        slider = gr.Slider(
            row.minimum if row.minimum is not None else 0,
            row.maximum if row.maximum is not None else 100,
            value,
            step=row.step,
            precision=precision,
            info=form_help(row) or None,
            interactive=True,
            buttons=["reset"],
            **common,
        )
        whole = precision == 0

        def read(met: Any) -> Any:
            if met is None or met == "":
                return None
            return int(met) if whole and float(met).is_integer() else float(met)

        return _plain(row, slider, read)

    def _boolean(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        return _plain(
            row, gr.Checkbox(bool(values[row.name]), info=form_help(row) or None, interactive=True, **common), bool
        )

    def _seed(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        """Text from end to end: a seed may pass what a number of JavaScript can hold."""
        row = rows[0]
        field = _own_field("seed", str(values[row.name]), common, help=form_help(row))

        def read(met: Any) -> dict[str, Any]:
            text = str(met if met is not None else "").strip()
            if not re.fullmatch(r"-?\d{1,20}", text):
                raise ParameterError([FieldError(row.name, "expected a whole number", text[:40])])
            return {row.name: int(text)}

        return Widget((row,), field, read, lambda params: str(params[row.name]))

    def _size(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        """One row edits a single edge; a width and a height share presets, the lock of their ratio, and the swap."""
        first = rows[0]
        field = _own_field(
            "size",
            {row.name: values[row.name] for row in rows},
            common,
            help=form_help(first),
            names=[row.name for row in rows],
            labels=[row.label for row in rows],
            minimum=first.minimum,
            maximum=first.maximum,
            step=first.step,
            presets=list(first.extra.get("presets") or SIZE_PRESETS),
        )

        def read(met: Any) -> dict[str, Any]:
            met = met if isinstance(met, dict) else {}
            return {row.name: met.get(row.name) for row in rows}

        return Widget(rows, field, read, lambda params: {row.name: params[row.name] for row in rows})

    # Choices

    def _choice(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        choices = [(label, value) for value, label in row.options]
        pictures = self._pictures(row)
        if pictures:
            tiles = [{"value": value, "label": label, "picture": pictures.get(value)} for value, label in row.options]
            common["elem_classes"] = [*common["elem_classes"], "ll-pictures"]
            return _plain(row, _own_field("pictures", values[row.name], common, help=form_help(row), tiles=tiles), str)
        if len(choices) <= SEGMENTS:
            common["elem_classes"] = [*common["elem_classes"], "ll-segments"]
            return _plain(
                row,
                gr.Radio(choices, value=values[row.name], info=form_help(row) or None, interactive=True, **common),
                str,
            )
        box = gr.Dropdown(
            choices,
            value=values[row.name],
            filterable=len(choices) > 12,
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        return _plain(row, box, str)

    def _dynamic_choice(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        box = gr.Dropdown(
            self.choices_with(row, values[row.name], str(values.get(row.of) or "")),
            value=values[row.name] or "",
            allow_custom_value=True,
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        if not row.of:  # else the other field's change brings them
            self._read_again(box, lambda met: self.choices_with(row, met or "", fresh=True))
        return _plain(row, box, lambda met: str(met or ""))

    def _read_again(self, box: Any, choices: Callable[[Any], list[tuple[str, str]]]) -> None:
        """Whenever the list is opened: what it offers may have been made since."""
        box.focus(
            lambda met: gr.update(choices=choices(met)),
            box,
            box,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    def _dynamic_choices(
        self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]
    ) -> Widget:
        row = rows[0]
        chosen = list(values[row.name] or ())
        box = gr.Dropdown(
            self.choices_for(row, chosen),
            value=chosen,
            multiselect=True,
            allow_custom_value=True,  # else Gradio warns of every value: it looks for the whole list among the options
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        self._read_again(box, lambda met: self.choices_for(row, list(met or ())))
        return Widget(
            (row,), box, lambda met: {row.name: [str(one) for one in met or ()]}, lambda params: list(params[row.name])
        )

    def choices_for(self, row: Parameter, chosen: Sequence[str]) -> list[tuple[str, str]]:
        """The options of a list of several, with those that are ``chosen`` among them."""
        choices = self._options.choices(row.source)
        known = {value for _, value in choices}
        return [*choices, *((one, one) for one in chosen if one not in known)]

    def _model(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        """Hub ids and other references may be typed."""
        row = rows[0]
        chosen = values[row.name] or self._options.default(row.source)
        box = gr.Dropdown(
            self.choices_with(row, chosen),
            value=chosen,
            allow_custom_value=True,
            info=form_help(row) or None,
            interactive=True,
            **common,
        )
        self._read_again(box, lambda met: self.choices_with(row, met or "", fresh=True))
        return _plain(row, box, lambda met: str(met or "").strip())

    def choices_with(self, row: Parameter, value: Any, of: str = "", fresh: bool = False) -> list[tuple[str, str]]:
        """The options of a list, with ``value`` among them. ``of`` and ``fresh``: see ``ModelOptions.offered``."""
        choices = self._options.offered(row, of, fresh)
        if value not in {ref for _, ref in choices}:
            choices.insert(0, (str(value or _nothing(row, choices)), str(value or "")))
        return choices

    # Colours and files

    def _colour(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        return _plain(
            row,
            gr.ColorPicker(values[row.name], info=form_help(row) or None, interactive=True, **common),
            hex_colour,
        )

    def _image(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        field = _own_field("image", values[row.name] or "", common, help=form_help(row), multiple=False)
        return Widget((row,), field, lambda met: {row.name: _ref(met)}, lambda params: params[row.name] or "")

    def _images(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        row = rows[0]
        field = _own_field("image", list(values[row.name] or ()), common, help=form_help(row), multiple=True)
        return Widget(
            (row,),
            field,
            lambda met: {row.name: [ref for one in met or () if (ref := _ref(one))]},
            lambda params: list(params[row.name] or ()),
        )

    def _image_mask(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        """``rows`` are the image and, where it is declared, the parameter that takes the mask."""
        row = rows[0]
        editor = gr.ImageEditor(
            type="pil",
            image_mode="RGBA",
            format="png",
            sources=("upload", "clipboard"),
            transforms=(),
            brush=gr.Brush(colors=["#ffffff"], color_mode="fixed"),
            buttons=[],
            placeholder=form_help(row) or None,
            interactive=True,
            layers=gr.LayerOptions(allow_additional_layers=False, layers=["mask"]),
            **common,
        )

        def read(met: Any) -> dict[str, Any]:
            picture, mask = split_mask(met)
            found: dict[str, Any] = {
                row.name: None if picture is None else self._files.put(png_bytes(picture), "image.png")
            }
            if len(rows) > 1:
                found[rows[1].name] = None if mask is None else self._files.put(png_bytes(mask), "mask.png")
            return found

        def show(params: Mapping[str, Any]) -> Any:
            if not params[row.name]:
                return None
            return {"background": self._shown_file(params[row.name]), "layers": [], "composite": None}

        return Widget(rows, editor, read, show)

    def _audio(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        sound = gr.Audio(type="filepath", sources=["upload"], editable=False, buttons=[], interactive=True, **common)
        return self._stored(rows[0], sound)

    def _file(self, rows: tuple[Parameter, ...], values: Mapping[str, Any], common: dict[str, Any]) -> Widget:
        accept = list(rows[0].extra.get("accept", ())) or None
        return self._stored(
            rows[0], gr.File(type="filepath", file_types=accept, height=120, interactive=True, **common)
        )

    def _stored(self, row: Parameter, component: Any) -> Widget:
        def read(met: Any) -> dict[str, Any]:
            if not met:
                return {row.name: None}
            path = uploaded_file(row.name, str(met))
            return {row.name: self._files.put(path.read_bytes(), path.name)}

        return Widget(
            (row,), component, read, lambda params: self._shown_file(params[row.name]) if params[row.name] else None
        )

    def _shown_file(self, ref: str) -> str:
        """A copy of a stored upload where Gradio may serve it from. Raises LifelikeError."""
        source = self._files.path(ref)
        target = Path(get_upload_folder()) / hashlib.sha256(ref.encode()).hexdigest() / source.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        return str(target)


def _plain(row: Parameter, component: Any, convert: Callable[[Any], Any], event: str = "change") -> Widget:
    """A component whose value is the parameter's; None stays None."""
    return Widget(
        (row,),
        component,
        lambda met: {row.name: None if met is None else convert(met)},
        lambda params: params[row.name],
        event,
    )


def _nothing(row: Parameter, choices: Sequence[Any]) -> str:
    """What a list says of an empty value: the first model where one is required, else that there is none."""
    if row.kind != "model":
        return "None"
    return "Automatic" if choices else "No model yet"


def _own_field(kind: str, value: Any, common: Mapping[str, Any], **field: Any) -> Any:
    """A component drawn by ``static/fields.js``."""
    return gr.HTML(
        value=value,
        html_template="<div class='ll-own'></div>",
        js_on_load=_MOUNT,
        apply_default_css=False,
        elem_id=common["elem_id"],
        elem_classes=common["elem_classes"],
        label=common["label"],
        field={"kind": kind, "label": common["label"], **field},
    )


def _ref(met: Any) -> str | None:
    """A file's reference as a field of ours sends it: nothing else is passed on from a browser."""
    text = str(met or "")
    return text if text.startswith(("upload:", "artifact:")) else None
