"""A prompt once it was read: a flat program that says, for each step, which text counts how much."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

LARGEST = 100.0
"""Weights beyond this are taken as this, on either side of zero: beyond it embeddings overflow."""

_SPECIAL = re.compile(r"[()\[\]\\:|<]|(?P<word>\b(?:BREAK|AND)\b)")


class Kind(Enum):
    """What one instruction of the program does."""

    TEXT = "text"
    BREAK = "break"
    OPEN = "open"
    """Multiplies the weight by ``factor`` until its CLOSE."""
    CHOOSE = "choose"
    """Goes to one of ``branches``; each ends where the next begins, the last at CLOSE."""
    NEXT = "next"
    """The end of a branch: goes to the CLOSE of its CHOOSE."""
    CLOSE = "close"


@dataclass
class Op:
    """One instruction. The parser changes it until its bracket is closed; nobody does afterwards."""

    kind: Kind
    start: int
    text: str = ""
    factor: float = 1.0
    end: int = 0
    """Of OPEN, CHOOSE and NEXT: the place of their CLOSE."""
    branches: tuple[int, ...] = ()
    """Of CHOOSE: the first instruction of each; -1 for an empty one."""
    when: When | None = None
    """Of CHOOSE: when the second branch takes over; None: they take turns."""


@dataclass(frozen=True)
class When:
    """A place in the steps: how many are over, or which share of them."""

    value: float
    fraction: bool

    def after(self, steps: int) -> int:
        """How many of ``steps`` are over then."""
        return max(0, min(steps, int(self.value * steps if self.fraction else self.value)))


class Span(NamedTuple):
    """Text that counts with one weight."""

    text: str
    weight: float


Body = tuple[tuple[Span, ...], ...]
"""What a text encoder is given at one step: sections, each of which begins a chunk of its own (BREAK)."""


@dataclass(frozen=True)
class Part:
    """One condition of a composition (AND)."""

    weight: float
    ops: tuple[Op, ...]

    @property
    def changes(self) -> bool:
        """Whether it differs between steps."""
        return any(op.kind is Kind.CHOOSE for op in self.ops)

    def at(self, step: int, steps: int) -> Body:
        """What counts in ``step``, of 0..steps-1."""
        return _run(self.ops, step, steps)


def _run(ops: tuple[Op, ...], step: int, steps: int) -> Body:
    """The program's text at ``step`` of 0..steps-1."""
    sections: list[list[tuple[float, list[str]]]] = [[]]
    weights = [1.0]
    place = 0
    while place < len(ops):
        op = ops[place]
        place += 1
        if op.kind is Kind.TEXT:
            section = sections[-1]
            if not section or section[-1][0] != weights[-1]:
                section.append((weights[-1], []))
            section[-1][1].append(op.text)
        elif op.kind is Kind.BREAK:
            sections.append([])
        elif op.kind is Kind.NEXT:
            place = op.end
        elif op.kind is Kind.CLOSE:
            weights.pop()
        else:
            weights.append(max(-LARGEST, min(LARGEST, weights[-1] * op.factor)))
            if op.kind is Kind.CHOOSE:
                turn = step % len(op.branches) if op.when is None else int(step >= op.when.after(steps))
                place = op.branches[turn] if op.branches[turn] >= 0 else op.end
    made = [_spans(section) for section in sections]
    if len(made) == 1:
        return (made[0],)
    return tuple(_trimmed(section) for section in made)


def _spans(section: list[tuple[float, list[str]]]) -> tuple[Span, ...]:
    return tuple(Span(text, weight) for weight, pieces in section if (text := "".join(pieces)))


def _trimmed(section: tuple[Span, ...]) -> tuple[Span, ...]:
    """``section`` without the space that set BREAK apart from it."""
    told = [place for place, span in enumerate(section) if span.text.strip()]
    spans = list(section[told[0] : told[-1] + 1]) if told else []
    if spans:
        spans[0] = Span(spans[0].text.lstrip(), spans[0].weight)
        spans[-1] = Span(spans[-1].text.rstrip(), spans[-1].weight)
    return tuple(spans)


def timeline(part: Part, steps: int) -> list[tuple[int, Body]]:
    """(first step, text) of every stretch of steps with the same text, in order; the first begins at 0."""
    met: list[tuple[int, Body]] = []
    for step in range(max(1, steps) if part.changes else 1):
        body = part.at(step, steps)
        if not met or met[-1][1] != body:
            met.append((step, body))
    return met


def plain(body: Body) -> str:
    """A step's text without weights, for encoders that know none."""
    return " ".join("".join(span.text for span in section) for section in body).strip()


def escaped(text: str) -> str:
    """``text`` written so that ``parse`` reads it as it is."""
    return _SPECIAL.sub(lambda found: f"({found[0]}:1)" if found["word"] else "\\" + found[0], text)


def render(body: Body) -> str:
    """A prompt that means ``body`` at every step, written out: the inverse of ``parse`` up to rounding."""
    return " BREAK ".join("".join(_written(span) for span in section) for section in body)


def _written(span: Span) -> str:
    text = escaped(span.text)
    return text if span.weight == 1.0 else f"({text}:{Decimal(span.weight):f})"
