"""A denoiser's call in several with fewer rows each: pictures of a batch, and the halves of guidance, do not depend on
each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

_NEVER = frozenset({"ip_adapter_masks"})
"""Arguments that have one entry for something else than a row."""


def count(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """How many rows a call has, by its first tensor or list of tensors; 1 where that says nothing."""
    first = _first(args, kwargs)
    if isinstance(first, list):
        return len(first)
    return int(first.shape[0]) if isinstance(first, torch.Tensor) and first.ndim > 2 else 1


def split(compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], at_once: int) -> Any:
    """``compute(*args, **kwargs)``, at most ``at_once`` rows at a time."""
    rows, listed = count(args, kwargs), isinstance(_first(args, kwargs), list)
    answers = []
    for start in range(0, rows, at_once):
        part = slice(start, start + at_once)
        answers.append(compute(*_rows(args, rows, part, listed), **_rows(kwargs, rows, part, listed)))
    return _joined(answers, listed)


def picked(value: Any, rows: int, part: slice) -> Any:
    """``part`` of every tensor in ``value`` that has ``rows`` rows, in dictionaries, lists and tuples too."""
    return value if part == slice(0, rows) else _rows(value, rows, part, False)


def merged(values: Sequence[Any], rows: int) -> Any:
    """``values``, which are alike, as one: of every tensor that has ``rows`` rows those of all, of anything else the
    last one's. Raises RuntimeError for rows that do not fit one another, LookupError for other names.
    """
    last = values[-1]
    if isinstance(last, torch.Tensor):
        return torch.cat([*values]) if last.ndim and last.shape[0] == rows else last
    if isinstance(last, dict):
        return {name: merged([one[name] for one in values], rows) for name in last}
    if isinstance(last, list | tuple):
        return type(last)(merged([*column], rows) for column in zip(*values, strict=True))
    return last


def _first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    named = (kwargs[name] for name in ("hidden_states", "sample", "x") if name in kwargs)
    return next((value for value in (*args, *named) if isinstance(value, torch.Tensor | list)), None)


def _rows(value: Any, rows: int, part: slice, listed: bool) -> Any:
    """``part`` of what has one entry a row; all of anything else."""
    if isinstance(value, torch.Tensor):
        return value[part] if value.ndim and value.shape[0] == rows and not listed else value
    if isinstance(value, dict):
        return {name: one if name in _NEVER else _rows(one, rows, part, listed) for name, one in value.items()}
    if not isinstance(value, list | tuple):
        return value
    stacked = any(isinstance(one, torch.Tensor) and one.ndim and one.shape[0] == rows for one in value)
    if isinstance(value, list) and len(value) == rows and (listed or not stacked):
        return value[part]
    return type(value)(_rows(one, rows, part, listed) for one in value)


def _joined(answers: Sequence[Any], listed: bool) -> Any:
    first = answers[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(answers))
    if isinstance(first, dict):  # the libraries' outputs are
        return type(first)(**{name: _joined([one[name] for one in answers], listed) for name in first})
    if isinstance(first, list) and listed:
        return [row for one in answers for row in one]
    if isinstance(first, list | tuple):
        return type(first)(_joined(column, listed) for column in zip(*answers, strict=True))
    return first
