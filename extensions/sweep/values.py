"""The grammar of an axis's values: one text becomes a list of texts, of numbers or of switches.

A list is parted by lines, else by ``||``, else by commas; a value in double quotes may hold any of them. Items of a
list of numbers may be ranges::

    10, 20, 30          these
    1-10                1, 2, ... 10
    1-10 (+3)           1, 4, 7, 10
    10-1 (-3)           10, 7, 4, 1
    0.5-1 [6]           six, spread evenly: 0.5, 0.6, ... 1
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, localcontext

SEPARATORS = ("\n", "||", ",")
"""In the order in which they are looked for."""

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?"
_ITEM = re.compile(rf"\s*({_NUMBER})\s*(?:-\s*({_NUMBER})\s*(?:\(\s*({_NUMBER})\s*\)|\[\s*(\d{{1,9}})\s*\])?)?\s*")
_LARGEST = Decimal(2) ** 63
_DIGITS = 60
_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class ValueProblem(ValueError):
    """What is wrong with an axis's values. ``got`` is the item that is wrong, ``expected`` what it should be."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"{expected} (got {got})")
        self.expected = expected
        self.got = got


def split(text: str) -> list[str]:
    """The values of a list, in their order; unquoted blank ones are left out."""
    for separator in SEPARATORS:
        values = _parted(text, separator)
        if len(values) > 1:
            return values
    return _parted(text, SEPARATORS[-1])


def join(values: Sequence[str]) -> str:
    """A text that ``split`` reads as ``values``."""
    hard = len(values) > 1 and any(sign in value for value in values for sign in SEPARATORS[:2])
    return ("\n" if hard else ", ").join(_quoted(value) for value in values)


def _parted(text: str, separator: str) -> list[str]:
    values, at = [], 0
    while at <= len(text):
        value, at = _one(text, at, separator)
        if value is not None:
            values.append(value)
    return values


def _one(text: str, at: int, separator: str) -> tuple[str | None, int]:
    """The value that begins at ``at`` (None: blank), and where the next one begins."""
    begin = at
    while begin < len(text) and text[begin].isspace() and not text.startswith(separator, begin):
        begin += 1
    if text.startswith('"', begin):
        quoted = re.compile(r'"((?:[^"]|"")*)"[^\S\n]*').match(text, begin)
        if quoted is not None and (quoted.end() == len(text) or text.startswith(separator, quoted.end())):
            return quoted[1].replace('""', '"'), quoted.end() + len(separator)
    end = text.find(separator, at)
    end = len(text) if end < 0 else end
    return text[at:end].strip() or None, end + len(separator)


def _quoted(value: str) -> str:
    plain = value and value == value.strip() and '"' not in value and not any(sign in value for sign in SEPARATORS)
    return value if plain else '"' + value.replace('"', '""') + '"'


def numbers(text: str, *, whole: bool, multiple: int = 1, limit: int = 10_000) -> list[int] | list[float]:
    """The numbers that ``text`` lists, each once. ``whole``: integers; evenly spread ones are rounded to ``multiple``.

    Raises ValueProblem, as for a range of more than ``limit`` values.
    """
    found: dict[Decimal, None] = {}
    for item in split(text):
        for value in _range(item, whole, multiple, limit):
            found[value] = None
        if len(found) > limit:
            raise ValueProblem(f"expected at most {limit} values", _short(text))
    return [int(value) for value in found] if whole else [float(value) for value in found]


def _range(item: str, whole: bool, multiple: int, limit: int) -> list[Decimal]:
    match = _ITEM.fullmatch(item) if len(item) <= 200 else None
    kind = "a whole number" if whole else "a number"
    if match is None:
        raise ValueProblem(f"expected {kind}, or a range such as 1-10, 1-10 (+3) or 1-10 [4]", _short(item))
    first, last, step, count = match.groups()
    begin = _number(first, whole, item)
    if last is None:
        return [begin]
    end = _number(last, whole, item)
    if count is not None:
        return _spread(begin, end, int(count), multiple if whole else 0, limit, item)
    if step is None and not whole and begin % 1 + end % 1:
        raise ValueProblem("expected a step or a count, such as 0.5-1 (+0.1) or 0.5-1 [6]", _short(item))
    return _stepped(begin, end, step, whole, limit, item)


def _number(text: str, whole: bool, item: str) -> Decimal:
    value = Decimal(text)
    if abs(value) > _LARGEST:
        raise ValueProblem("expected a number of at most 2^63", _short(item))
    if whole and value % 1:
        raise ValueProblem("expected a whole number", _short(item))
    return value


def _stepped(begin: Decimal, end: Decimal, step: str | None, whole: bool, limit: int, item: str) -> list[Decimal]:
    """begin, begin + step ... as far as ``end``; a step without a sign goes towards the end."""
    stride = _number(step, whole, item) if step is not None else Decimal(1)
    if not stride:
        raise ValueProblem("expected a step other than 0", _short(item))
    if end < begin and (step is None or step[0] not in "+-"):
        stride = -stride
    if begin != end and (stride > 0) != (end > begin):
        raise ValueProblem(f"expected a step that leads from {begin} to {end}", _short(item))
    with localcontext() as context:
        context.prec = _DIGITS
        count = int(((end - begin) / stride).to_integral_value(ROUND_FLOOR)) + 1
        if count > limit:
            raise ValueProblem(f"expected at most {limit} values, this range has {count}", _short(item))
        return [begin + stride * place for place in range(count)]


def _spread(begin: Decimal, end: Decimal, count: int, multiple: int, limit: int, item: str) -> list[Decimal]:
    """``count`` values from ``begin`` to ``end``, both included; rounded to ``multiple`` unless that is 0."""
    if not 1 <= count <= limit:
        raise ValueProblem(f"expected a count of 1 to {limit}", _short(item))
    with localcontext() as context:
        context.prec = _DIGITS
        spread = [begin + (end - begin) * place / max(count - 1, 1) for place in range(count)]
        if multiple:
            spread = [(value / multiple).to_integral_value(ROUND_HALF_UP) * multiple for value in spread]
        return spread


def switches(text: str) -> list[bool]:
    """true, yes, on, 1 and their opposites; ``all`` is both. Raises ValueProblem."""
    found: dict[bool, None] = {}
    for item in split(text):
        word = item.casefold()
        if word == "all":
            found.update({True: None, False: None})
        elif word in (*_YES, *_NO):
            found[word in _YES] = None
        else:
            raise ValueProblem("expected true, false or all", _short(item))
    return list(found)


def _short(item: str) -> str:
    text = " ".join(item.split())
    return text if len(text) <= 60 else text[:57] + "..."
