"""A pipeline's parameters, declared once: the form, the HTTP schema, the command line, presets and recipes come from
here.

A pipeline declares a subclass of ``Params`` whose fields are made by the functions of ``declaring``. Each is a pydantic
field with a ``widget`` entry in its JSON Schema, which says how a person edits it; ``describe`` reads them back as
``Parameter`` rows. Nothing else in the application knows a pipeline's fields.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

WidgetKind = Literal[
    "text",
    "prompt",
    "integer",
    "number",
    "choice",
    "dynamic_choice",
    "dynamic_choices",
    "record",
    "seed",
    "size",
    "boolean",
    "image",
    "image_mask",
    "images",
    "colour",
    "audio",
    "file",
    "folder",
    "model",
    "parameters",
]

FILE_KINDS: frozenset[str] = frozenset({"image", "image_mask", "images", "audio", "file"})
"""Widgets whose value is a reference to bytes (``upload:...`` or ``artifact:...``), or a list of them."""


class Params(BaseModel):
    """Base of every pipeline's parameters: immutable, no unknown names, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


@dataclass(frozen=True)
class Parameter:
    """One declared parameter as forms and command lines read it."""

    name: str
    kind: WidgetKind
    label: str
    help: str = ""
    default: Any = None
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    options: tuple[tuple[str, str], ...] = ()
    """(value, label) pairs of a ``choice``."""
    source: str = ""
    """Of a ``dynamic_choice`` and of ``dynamic_choices``: the name of the list they take their options from. Of a
    ``model``: the kind of model.
    """
    of: str = ""
    """The parameter that names the pipeline whose parameters this one lists or holds."""
    group: str = ""
    advanced: bool = False
    auto: Any = None
    """What None stands for when the chosen model recommends nothing. None: the parameter has no automatic value."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What only its own widget reads: rows, placeholder, presets, tokens, accept, mask, pictures ..."""

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")


def _bound(schema: Mapping[str, Any], *names: str) -> float | None:
    """A bound of a property, looked for in the alternatives of an optional one too."""
    for part in (schema, *schema.get("anyOf", ())):
        for name in names:
            if name in part:
                return float(part[name])
    return None


@functools.lru_cache(maxsize=256)  # a JSON Schema takes milliseconds to build, and every job is validated several times
def describe(model: type[Params]) -> tuple[Parameter, ...]:
    """The parameters that ``model`` declares, in its order. Raises TypeError for a field made without a widget."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    return tuple(
        _describe_one(model, name, body, name in required) for name, body in schema.get("properties", {}).items()
    )


def _describe_one(model: type[Params], name: str, body: Mapping[str, Any], required: bool) -> Parameter:
    widget = dict(body.get("widget") or {})
    if not widget:
        raise TypeError(
            f"parameter {name!r} of {model.__name__} has no widget: "
            "expected a field made by webui.api (integer, prompt, ...)"
        )
    options = tuple((str(value), str(label)) for value, label in widget.pop("options", ()))
    return Parameter(
        name=name,
        kind=widget.pop("kind"),
        label=str(body.get("title", name)),
        help=str(body.get("description", "")),
        default=None if required else model.model_fields[name].get_default(call_default_factory=True),
        required=required,
        minimum=_bound(body, "minimum", "exclusiveMinimum"),
        maximum=_bound(body, "maximum", "exclusiveMaximum"),
        step=widget.pop("step", None),
        options=options,
        source=widget.pop("source", ""),
        of=widget.pop("of", ""),
        group=widget.pop("group", ""),
        advanced=bool(widget.pop("advanced", False)),
        auto=widget.pop("auto", None),
        extra=widget,
    )
