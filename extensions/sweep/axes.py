"""One axis: from a parameter's declaration and the text of its values to typed values with labels, and into a cell."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from webui.api import Parameter

from .values import ValueProblem, numbers, split, switches

LETTERS = ("x", "y", "z")
TEXTS = frozenset({"text", "prompt"})
_UNFIT = frozenset({"images", "parameters", "record", "dynamic_choices"})
_EXAMPLES = {
    "integer": "10, 20, 30 or 1-10 (+3)",
    "size": "512, 768 or 512-1024 [4]",
    "seed": "1-4, or -1, -1",
    "number": "1, 4.5, 7 or 0.5-1 [6]",
    "boolean": "all, or true, false",
    "choice": "all, or some of the names",
    "model": "all, or some of the models",
}
_LABEL_CHARS = 300


@dataclass(frozen=True)
class Axis:
    """``values`` of ``parameter``, or words that take the place of ``search`` in its text."""

    letter: str
    parameter: str
    title: str
    """The parameter's label."""
    values: tuple[Any, ...]
    labels: tuple[str, ...]
    cost: int = 0
    """How much a change costs; the dearest changes least often."""
    search: str = ""

    @property
    def column(self) -> str:
        """Its name in the table."""
        return f"{self.parameter}: {self.search}" if self.search else self.parameter

    def put(self, params: dict[str, Any], place: int) -> None:
        """Value ``place`` into ``params``; whole values come before replacements."""
        value = self.values[place]
        params[self.parameter] = (
            str(params.get(self.parameter) or "").replace(self.search, value) if self.search else value
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "values": list(self.values), "labels": list(self.labels)}

    @staticmethod
    def from_json(body: Mapping[str, Any]) -> Axis:
        return Axis(**{**body, "values": tuple(body["values"]), "labels": tuple(body["labels"])})


def find_row(name: str, rows: Sequence[Parameter]) -> Parameter:
    """The parameter that ``name`` means, by its name or its label. Raises ValueProblem."""
    for row in rows:
        if row.name == name and row.kind not in _UNFIT:
            return row
    for row in rows:
        if row.label.casefold() == name.casefold() and row.kind not in _UNFIT:
            return row
    fit = [row.name for row in rows if row.kind not in _UNFIT]
    if any(row.name == name for row in rows):
        raise ValueProblem("this parameter cannot be an axis", name)
    near = difflib.get_close_matches(name, fit, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f": expected one of {', '.join(fit)}"
    raise ValueProblem(f"there is no such parameter{hint}", name)


def read_axis(
    letter: str, row: Parameter, text: str, *, replace: bool, models: Callable[[str], Sequence[str]], limit: int
) -> Axis:
    """The axis that ``text`` says, with values that are typed but not checked yet. Raises ValueProblem."""
    if replace and row.kind not in TEXTS:
        raise ValueProblem("expected values: only texts can be searched", row.label)
    found = split(text) if replace else _values(row, text, models, limit)
    if not found:
        example = "red hair, black hair, grey hair" if replace else _EXAMPLES.get(row.kind, "several, one a line")
        raise ValueProblem(f"expected the values of {row.label}, such as {example}", "nothing")
    if len(found) > limit:
        raise ValueProblem(f"expected at most {limit} values", str(len(found)))
    if replace and not found[0]:
        raise ValueProblem("expected what is sought as the first value", "an empty text")
    labels = tuple(label_of(row, value) for value in found)
    search = str(found[0]) if replace else ""
    return Axis(letter, row.name, row.label, tuple(found), labels, 0 if replace else _cost(row), search)


def _values(row: Parameter, text: str, models: Callable[[str], Sequence[str]], limit: int) -> list[Any]:
    if row.kind in ("integer", "size", "seed"):
        if row.kind == "seed" and set(split(text)) == {"-1"}:
            return [-1] * len(split(text))
        multiple = int(row.step or 1) if row.kind == "size" else 1
        return list(numbers(text, whole=True, multiple=multiple, limit=limit))
    if row.kind == "number":
        return list(numbers(text, whole=False, limit=limit))
    if row.kind == "boolean":
        return list(switches(text))
    items = split(text)
    if row.kind == "choice":
        return _options(row, items)
    if row.kind == "model":
        named = [ref for item in items for ref in (models(row.source) if item.casefold() == "all" else [item])]
        return list(dict.fromkeys(named))
    return list(dict.fromkeys(items))


def _options(row: Parameter, items: Sequence[str]) -> list[str]:
    """Options by value or by label; ``all`` is every one, unless that is an option itself."""
    known = {label.casefold(): value for value, label in row.options}
    known |= {value.casefold(): value for value, _ in row.options}
    found: dict[str, None] = {}
    for item in items:
        value = known.get(item.casefold())
        if value is None and item.casefold() != "all":
            names = ", ".join(value for value, _ in row.options)
            raise ValueProblem(f"expected all, or some of {names}", item[:60])
        found.update(dict.fromkeys([value] if value is not None else [value for value, _ in row.options]))
    return list(found)


def label_of(row: Parameter, value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    text = str(value)
    if row.kind == "model":
        return text.rsplit("/", 1)[-1].removesuffix(".safetensors").removesuffix(".gguf")
    text = dict(row.options).get(text, text)
    return " ".join(text.split())[:_LABEL_CHARS] or "(empty)"


def _cost(row: Parameter) -> int:
    """Loading a model is the dearest, then what is attached to one, then what makes it be prepared anew."""
    if row.kind == "model":
        return 3
    if row.kind == "dynamic_choice":
        return 2
    return 1 if row.kind == "size" or (row.advanced and row.kind in ("choice", "boolean")) else 0
