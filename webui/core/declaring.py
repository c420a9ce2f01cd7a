"""The functions that make the fields of ``Params``, one a widget; ``parameters.describe`` reads back what they say."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from .parameters import WidgetKind


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
    pictures: str = "",
) -> Any:
    """One of a fixed list: values, or value -> label. Declare the field as ``str``; the list is enforced by
    ``validate``.

    ``pictures`` (1.7): a folder of the extension with a picture for each value, ``<value>.webp``, ``.png`` or ``.jpg``,
    square and some 128 pixels wide. A form then shows the list as a grid of them.
    """
    pairs = list(options.items()) if isinstance(options, Mapping) else [(value, value) for value in options]
    body = {"kind": "choice", "group": group, "advanced": advanced, "options": [list(pair) for pair in pairs]}
    if pictures:
        body["pictures"] = pictures
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
    source: str,
    *,
    label: str,
    help: str = "",
    group: str = "",
    advanced: bool = False,
    maximum: int = 32,
    edited_at: str = "",
) -> Any:
    """Several of a list known only at run time, in the order chosen; declare the field as ``tuple[str, ...]``. As
    ``dynamic_choice`` otherwise.

    ``edited_at`` (1.4): the address of the extension's routes, ``/ext/<id>/<name>``, by which people fill the list in
    the page. GET answers ``{"fields": [{"name", "label"}], "entries": [{"name", "own", a text for each field}]}``; PUT
    ``/<entry>`` with the texts saves, DELETE ``/<entry>`` forgets, POST ``/<entry>/rename`` takes ``{"name"}``.
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
        edited_at=edited_at,
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


def consent() -> Any:
    """Whether everyone shown agreed, under the name ``consent``: a ``PipelineSpec`` with ``needs_consent`` has it, and
    a job of that without it is refused. (1.5)
    """
    return _declare(
        False,
        "boolean",
        "Everyone shown agreed to this",
        help="Kept with the job. What is made is marked as made by a machine.",
    )


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
