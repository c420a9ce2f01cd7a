"""The numbers of a scalar artifact in one form, for whoever made them and for whoever reads them: scores with their
intervals, and what takes which of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Number:
    """A score as it is told. (1.5)"""

    key: str
    """What it is, whatever it was taken with: ``fd``."""
    title: str
    """As it is called, with what it was taken with: ``FD-DINOv2``."""
    value: float
    low: float | None = None
    """Of its 95% interval; None where there is none."""
    high: float | None = None
    real_vs_real: float | None = None
    """The same score of real pictures against others; None where there is none."""
    better: str = ""
    """lower, higher or near real; empty where neither is."""
    interval: str = ""
    """What the interval is over."""


def numbers_of(data: Any) -> tuple[Number, ...]:
    """The scores in a scalar artifact's data, in their order; none where it holds none. (1.5)

    They are told as ``{"scores": {title: {"key": ..., "value": ..., "low": ...}}, "order": [title, ...]}`` in the names
    of ``Number``, of which ``value`` alone is required.
    """
    scores = data.get("scores") if isinstance(data, Mapping) else None
    if not isinstance(scores, Mapping):
        return ()
    order = [title for title in data.get("order", ()) if title in scores]
    found = []
    for title in dict.fromkeys([*order, *scores]):
        one = scores[title]
        if not isinstance(one, Mapping) or _finite(one.get("value")) is None:
            continue
        found.append(
            Number(
                key=str(one.get("key") or title),
                title=str(title),
                value=float(one["value"]),
                low=_finite(one.get("low")),
                high=_finite(one.get("high")),
                real_vs_real=_finite(one.get("real_vs_real")),
                better=str(one.get("better") or ""),
                interval=str(one.get("interval") or ""),
            )
        )
    return tuple(found)


def _finite(value: Any) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None


@dataclass(frozen=True)
class Measure:
    """A score that a pipeline takes of a folder of pictures, for whoever makes some: one of ``PipelineSpec.measures``.
    Its id is ``extension.name``. (1.5)

    The pipeline is run with ``params``, and with folders in the parameters that ``takes`` names; lists of ``params`` of
    several measures are joined, so that one run takes them all. Prompts lie beside the pictures, in ``metadata.jsonl``
    (``file_name``, ``text``). Its numbers are the entries of ``scores`` in the scalar whose ``key`` is among ``keys``.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    takes: Mapping[str, str] = field(default_factory=lambda: {"pictures": "pictures"})
    """What it is given -> the parameter that takes it: ``pictures``; ``real``, others that a set is compared with;
    ``references``, what each picture should be.
    """
    params: Mapping[str, Any] = field(default_factory=dict)
    least: int = 1
    """Pictures without which it is not defined."""
    better: str = ""
    """As ``Number.better``."""
