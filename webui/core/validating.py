"""Raw parameters, from whoever sent them, as those that a job runs with: checked, then frozen."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from .errors import FieldError, ParameterError
from .parameters import FILE_KINDS, Parameter, Params, describe

P = TypeVar("P", bound=Params)

SEED_MAX = 2**32 - 1
"""The largest seed drawn at random. Larger ones may be typed, up to 2**63 - 1."""


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


_WORDS: Mapping[str, str] = {
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "multiple_of": "expected a multiple of {multiple_of}",
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "int_parsing_size": "expected a whole number of fewer digits",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
    "string_unicode": "expected a text",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "too_long": "expected at most {max_length} entries",
    "dict_type": "expected an object",
}
"""What is said of each kind of fault that pydantic finds; the page has these sentences in its languages."""
_NEEDED: Mapping[str, str] = {"colour": "expected a colour such as #336699"}
"""What a kind of widget needs, where a pattern says it."""


def _field_error(model: type[Params], item: Mapping[str, Any]) -> FieldError:
    name = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(name, list(model.model_fields), n=1)
        if near:
            return FieldError(name, f"there is no such parameter; did you mean {near[0]!r}?")
        return FieldError(name, "there is no such parameter")
    if item["type"] == "missing":
        return FieldError(name, "is required")
    return FieldError(name, _said(model, name, item), _shown(item.get("input")))


def _said(model: type[Params], name: str, item: Mapping[str, Any]) -> str:
    """What was expected, in our words where pydantic's kind of fault is known."""
    context = item.get("ctx") or {}
    if item["type"] == "value_error" and isinstance(context.get("error"), ValueError):
        return str(context["error"])
    if item["type"] == "string_pattern_mismatch":
        kind = next((row.kind for row in describe(model) if row.name == name), "")
        return _NEEDED.get(kind, str(item["msg"]))
    words = _WORDS.get(item["type"])
    if words is None:
        return str(item["msg"])
    return words.format(**{key: f"{value:g}" if isinstance(value, float) else value for key, value in context.items()})


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
