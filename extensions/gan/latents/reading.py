"""Reads what forms hold as text: seeds, numbers, classes. Every error names what was met and what was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence

from webui.api import FieldError, ParameterError

_COMMAS = str.maketrans(dict.fromkeys(";，；、", ","))
"""Whatever stands between numbers, in Chinese texts too."""


def numbers(text: str, field: str, *, most: int, minimum: float = -math.inf, maximum: float = math.inf) -> list[float]:
    """``0, 0.5, 1`` as floats. Raises ParameterError."""
    found = []
    for part in text.translate(_COMMAS).split(","):
        if not part.strip():
            continue
        try:
            value = float(part)
        except ValueError:
            raise ParameterError(
                [FieldError(field, f"expected numbers such as 0, 0.5, 1; got {part.strip()!r}")]
            ) from None
        if not minimum <= value <= maximum:  # not a number is neither
            raise ParameterError([FieldError(field, f"expected {minimum:g} to {maximum:g}, got {part.strip()}")])
        found.append(value)
    if not 1 <= len(found) <= most:
        raise ParameterError([FieldError(field, f"expected 1 to {most} numbers, got {len(found)}")])
    return found


def seeds(text: str, field: str, *, first: int, count: int, most: int) -> list[int]:
    """``3, 8, 12`` as seeds; where it is empty, ``count`` from ``first`` on. Raises ParameterError."""
    if not text.strip():
        return [first + i for i in range(count)]
    return [int(value) for value in numbers(text, field, most=most, minimum=0, maximum=2**53)]


def chosen_class(text: str, count: int, names: Sequence[str], field: str = "class_label") -> int | None:
    """A number, or a name of the model's; None where it is empty. Raises ParameterError."""
    wanted = text.strip()
    if not wanted:
        return None
    if not count:
        raise ParameterError([FieldError(field, "this model has no classes: leave it empty")])
    if wanted.isdecimal() and int(wanted) < count:
        return int(wanted)
    exact = [i for i, name in enumerate(names) if name.lower() == wanted.lower()]
    near = exact or [i for i, name in enumerate(names) if wanted.lower() in name.lower()]
    if len(near) == 1:
        return near[0]
    if near:
        shown = ", ".join(names[i] for i in near[:5])
        raise ParameterError([FieldError(field, f"{wanted!r} may mean {shown}")])
    raise ParameterError([FieldError(field, f"expected a class of 0 to {count - 1}, got {wanted!r}")])
