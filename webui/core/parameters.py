"""A pipeline's parameters, declared once: the form, the HTTP schema, the command line, presets and recipes come from
here.

A pipeline declares a subclass of ``Params`` whose fields are made by the functions below (``prompt``, ``integer``,
``seed`` ...). Each is a
pydantic field with a ``widget`` entry in its JSON Schema, which says how a person edits it; ``describe`` reads them
back as ``Parameter``
rows. Nothing else in the application knows a pipeline's fields.
"""

from __future__ import annotations

import difflib
import functools
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import FieldError, ParameterError

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

SEED_MAX = 2**32 - 1
"""The largest seed drawn at random. Larger ones may be typed, up to 2**63 - 1."""


class Params(BaseModel):
    """Base of every pipeline's parameters: immutable, no unknown names, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


P = TypeVar("P", bound=Params)


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
    """What only its own widget reads: rows, placeholder, presets, tokens, accept, mask ..."""

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")


def _declare(
    default: Any,
    kind: WidgetKind,
    label: str,
    *,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    constraints: Mapping[str, Any] | None = None,
    **widget: Any,
) -> Any:
    said = {key: value for key, value in widget.items() if value not in (None, "", (), [])}
    body = {"kind": kind, "group": group, "advanced": advanced, **said}
    return Field(
        default, title=label, description=help or None, json_schema_extra={"widget": body}, **(constraints or {})
    )


def text(
    default: str = "",
    *,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    max_length: int = 10_000,
    placeholder: str = "",
) -> Any:
    """One line of text."""
    return _declare(
        default,
        "text",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"max_length": max_length},
        placeholder=placeholder,
    )


def prompt(
    default: str = "",
    *,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    rows: int = 3,
    placeholder: str = "",
    tokens: bool = True,
    syntax: str = "",
    negative: bool = False,
    max_length: int = 20_000,
) -> Any:
    """Several lines of text, with a count of the chosen model's tokens where ``tokens``. ``syntax`` is the id of the
    ``PromptSyntax`` that it is read with, ``negative`` tells that one that it is a negative prompt.
    """
    return _declare(
        default,
        "prompt",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"max_length": max_length},
        rows=rows,
        placeholder=placeholder,
        tokens=tokens,
        syntax=syntax,
        negative=negative or None,
    )


def integer(
    default: int | None,
    *,
    minimum: int,
    maximum: int,
    step: int = 1,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    auto: int | None = None,
) -> Any:
    """A whole number: slider and number box. ``auto``: None is allowed and means the model's own, else this."""
    return _declare(
        default,
        "integer",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"ge": minimum, "le": maximum},
        step=step,
        auto=auto,
    )


def number(
    default: float | None,
    *,
    minimum: float,
    maximum: float,
    step: float = 0.01,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    auto: float | None = None,
) -> Any:
    """A real number: slider and number box. ``auto``: None is allowed and means the model's own, else this."""
    return _declare(
        default,
        "number",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"ge": minimum, "le": maximum},
        step=step,
        auto=auto,
    )


def choice(
    default: str,
    options: Sequence[str] | Mapping[str, str],
    *,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
) -> Any:
    """One of a fixed list: values, or value -> label. Declare the field as ``str``; the list is enforced by
    ``validate``.
    """
    pairs = list(options.items()) if isinstance(options, Mapping) else [(value, value) for value in options]
    body = {"kind": "choice", "group": group, "advanced": advanced, "options": [list(pair) for pair in pairs]}
    schema: dict[str, Any] = {"widget": body, "enum": [value for value, _ in pairs]}
    return Field(default, title=label, description=help or None, json_schema_extra=schema)


def dynamic_choice(
    default: str, source: str, *, label: str, help: str = "", group: str = "", advanced: bool = False, of: str = ""
) -> Any:
    """One of a list known only at run time, named by ``source``; not enforced at the edge, the pipeline checks it.

    ``source``: a kind of models; ``feature_networks``, ``latent_spaces`` (1.4); ``pipelines``, or ``pipelines:image``
    for those that make pictures, or ``pipelines:image:image`` for those of them that have a parameter ``image`` (1.4);
    or ``parameters``, those of the pipeline that the field ``of`` names.
    """
    return _declare(default, "dynamic_choice", label, help=help, group=group, advanced=advanced, source=source, of=of)


def _json_object(value: Any) -> Any:
    """A command line and a page send text."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value) if value.strip() else {}
    except ValueError as error:
        raise ValueError(f'expected a JSON object, such as {{"steps": 20}}: {error}') from None
    except RecursionError:
        raise ValueError("expected a JSON object that is not nested so deeply") from None
    if not isinstance(read, dict):
        raise ValueError('expected a JSON object, such as {"steps": 20}')
    return read


ParameterValues = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""The type of a field made by ``parameters``."""


def parameters(of: str, *, label: str, help: str = "", group: str = "", advanced: bool = False) -> Any:
    """Parameters of the pipeline that the field ``of`` names, as a JSON object; declare the field as
    ``ParameterValues``. What they must be is that pipeline's to say: check them in ``PipelineSpec.accept``.
    """
    return _declare({}, "parameters", label, help=help, group=group, advanced=advanced, of=of)


def dynamic_choices(
    source: str, *, label: str, help: str = "", group: str = "", advanced: bool = False, maximum: int = 32
) -> Any:
    """Several of a list known only at run time, in the order chosen; declare the field as ``tuple[str, ...]``. As
    ``dynamic_choice`` otherwise.
    """
    return _declare(
        (),
        "dynamic_choices",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"max_length": maximum},
        source=source,
    )


def record(default: Any, *, label: str, help: str = "") -> Any:
    """What no form shows and no person sets: a pipeline writes it into recipes (``Artifact.params``), and finds it when
    a picture is made again.
    """
    return _declare(default, "record", label, help=help)


def seed(
    default: int = -1,
    *,
    label: str = "Seed",
    help: str = "-1 draws one at random",
    group: str = "",
    advanced: bool = False,
) -> Any:
    """A seed; -1 is replaced by one drawn at random when the job is accepted."""
    bounds = {"ge": -1, "le": 2**63 - 1}
    return _declare(default, "seed", label, help=help, group=group, advanced=advanced, constraints=bounds)


def size(
    default: int | None = None,
    *,
    label: str,
    minimum: int = 64,
    maximum: int = 4096,
    step: int = 8,
    auto: int | None = 512,
    help: str = "",
    group: str = "",
    presets: Sequence[str] = (),
) -> Any:
    """A width or a height in pixels. Fields named ``width`` and ``height`` share one widget with presets and an aspect
    lock.
    """
    return _declare(
        default,
        "size",
        label,
        help=help,
        group=group,
        constraints={"ge": minimum, "le": maximum, "multiple_of": step},
        step=step,
        auto=auto,
        presets=list(presets),
    )


def boolean(default: bool, *, label: str, help: str = "", group: str = "", advanced: bool = False) -> Any:
    """Yes or no."""
    return _declare(default, "boolean", label, help=help, group=group, advanced=advanced)


def image(
    default: str | None = None, *, label: str, help: str = "", group: str = "", advanced: bool = False, mask: str = ""
) -> Any:
    """A reference to one picture. ``mask`` names the field that receives what is painted over it (widget
    ``image_mask``).
    """
    return _declare(
        default, "image_mask" if mask else "image", label, help=help, group=group, advanced=advanced, mask=mask
    )


def images(*, label: str, help: str = "", group: str = "", advanced: bool = False, maximum: int = 64) -> Any:
    """References to several pictures; declare the field as ``tuple[str, ...]``."""
    return _declare((), "images", label, help=help, group=group, advanced=advanced, constraints={"max_length": maximum})


def colour(default: str = "#808080", *, label: str, help: str = "", group: str = "", advanced: bool = False) -> Any:
    """A colour as ``#rrggbb``."""
    return _declare(
        default,
        "colour",
        label,
        help=help,
        group=group,
        advanced=advanced,
        constraints={"pattern": r"^#[0-9a-fA-F]{6}$"},
    )


def audio(default: str | None = None, *, label: str, help: str = "", group: str = "", advanced: bool = False) -> Any:
    """A reference to a sound."""
    return _declare(default, "audio", label, help=help, group=group, advanced=advanced)


def file(
    default: str | None = None,
    *,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    accept: Sequence[str] = (),
) -> Any:
    """A reference to a file; ``accept`` lists endings such as ``.zip``."""
    return _declare(default, "file", label, help=help, group=group, advanced=advanced, accept=list(accept))


def folder(default: str = "", *, label: str, help: str = "", group: str = "", advanced: bool = False) -> Any:
    """The path of a folder, relative to the data folder unless it is the host's own user who asks."""
    return _declare(default, "folder", label, help=help, group=group, advanced=advanced)


def model(
    default: str = "",
    *,
    kind: str = "text_to_image",
    label: str = "Model",
    help: str = "",
    group: str = "",
    advanced: bool = False,
) -> Any:
    """A reference to a model of the catalog, or a path or hub id; empty is the first of its kind."""
    return _declare(default, "model", label, help=help, group=group, advanced=advanced, source=kind)


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


def _shown(value: Any) -> str:
    text_ = repr(value)
    return text_ if len(text_) <= 80 else text_[:77] + "..."


def validate(model: type[P], raw: Mapping[str, Any]) -> P:
    """``raw`` as an instance of ``model``. Raises ParameterError that names every wrong field."""
    try:
        params = model.model_validate(dict(raw))
    except ValidationError as error:
        raise ParameterError([_field_error(model, item) for item in error.errors()]) from None
    wrong = [
        FieldError(
            row.name,
            "expected one of " + ", ".join(value for value, _ in row.options),
            _shown(getattr(params, row.name)),
        )
        for row in describe(model)
        if row.options and getattr(params, row.name) not in {value for value, _ in row.options}
    ]
    if wrong:
        raise ParameterError(wrong)
    return params


def _field_error(model: type[Params], item: Mapping[str, Any]) -> FieldError:
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, list(model.model_fields), n=1)
        return FieldError(name, "there is no such parameter" + (f"; did you mean {near[0]!r}?" if near else ""))
    if item["type"] == "missing":
        return FieldError(name, "is required")
    return FieldError(name, str(item["msg"]), _shown(item.get("input")))


def freeze(
    model: type[Params],
    raw: Mapping[str, Any],
    *,
    choose_model: Callable[[Parameter, str], tuple[str, Mapping[str, Any]]] | None = None,
    intern: Callable[[Parameter, str], str] | None = None,
) -> dict[str, Any]:
    """The parameters a job runs with: validated, and with nothing left to chance or to a default that may change.

    A seed of -1 becomes one drawn at random. ``choose_model(parameter, ref)`` returns the reference that ``ref``
    stands for (empty: the default)
    and the values it recommends, which replace None in parameters that have an automatic value. ``intern(parameter,
    value)`` stores the bytes of
    a file parameter and returns its lasting reference. The answer is JSON-ready. Raises ParameterError.
    """
    params = validate(model, raw)
    values: dict[str, Any] = params.model_dump(mode="json")
    rows = describe(model)
    recommended: dict[str, Any] = {}
    for row in rows:
        value = values[row.name]
        if row.kind == "seed" and value == -1:
            values[row.name] = secrets.randbelow(SEED_MAX + 1)
        elif row.kind == "model" and choose_model is not None:
            values[row.name], suggests = choose_model(row, value)
            recommended.update(suggests)
        elif row.kind in FILE_KINDS and value and intern is not None:
            values[row.name] = [intern(row, one) for one in value] if isinstance(value, list) else intern(row, value)
    for row in rows:
        if values[row.name] is None and row.auto is not None:
            values[row.name] = recommended.get(row.name, row.auto)
    return validate(model, values).model_dump(mode="json")
