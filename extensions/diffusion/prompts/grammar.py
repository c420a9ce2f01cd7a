"""From a prompt's text to its program and what is to be said of it. Any text has a meaning, and is read in linear
time: a scanner, a pass that pairs brackets, a pass that writes the program.

docs/prompts.md tells the language, and where it differs from the one that other programs read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from . import networks
from .networks import LoraTag
from .program import LARGEST, Kind, Op, Part, When
from .remarks import Remark, shortened

STRONGER = 1.1
"""What a pair of round brackets multiplies a weight by; square ones divide by it."""
PARTS_MAX = 32
"""Conditions of a composition: each costs a call of the denoiser at every step."""
_TOKEN = re.compile(
    r"(?P<escape>\\[()\[\]\\:|<_])"
    rf"|(?P<tag>{networks.TAG})"
    r"|(?P<mark>[()\[\]:|])"
    r"|(?P<word>\b(?:BREAK|AND)\b)"
    r"|(?P<text>[^\\<()\[\]:|BA]+|.)",
    re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?|\d*\.\d+)")
_EXPONENT = re.compile(r"[+-]?(?:\d+\.?|\d*\.\d+)(?:[eE][+-]?\d+)?")
_LIKE_A_WEIGHT = re.compile(r"[\s+-]*[.,]?\d[\s\d.,+\-eE]*")
_PART_WEIGHT = re.compile(r"(?P<space>\s*)(?P<number>[+-]?(?:\d+\.?|\d*\.\d+))\s*")


@dataclass(frozen=True)
class Prompt:
    """A prompt that was read."""

    text: str
    parts: tuple[Part, ...]
    """Never empty."""
    networks: tuple[LoraTag, ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def features(self) -> frozenset[str]:
        """Which parts of the language it uses, of ``weights``, ``schedules``, ``AND`` and ``BREAK``."""
        ops = [op for part in self.parts for op in part.ops]
        used = {
            "weights": any(op.kind is Kind.OPEN and op.factor != 1.0 for op in ops),
            "schedules": any(op.kind is Kind.CHOOSE for op in ops),
            "BREAK": any(op.kind is Kind.BREAK for op in ops),
            "AND": len(self.parts) > 1 or self.parts[0].weight != 1.0,
        }
        return frozenset(name for name, is_used in used.items() if is_used)


def parse(text: str, *, negative: bool = False) -> Prompt:
    """The meaning of ``text``; never raises, whatever it is. In a ``negative`` prompt AND is an ordinary word."""
    return _Parser(text, negative).parse()


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


@dataclass
class _Frame:
    """An open bracket while the program is written."""

    op: int
    """The place of its instruction."""
    square: bool
    closed: bool
    marks: list[tuple[str, int, int]] = field(default_factory=list)
    """``:`` and ``|`` right inside it: the character, the place of its instruction, and its offset."""


_PAIRS = {")": "(", "]": "["}


class _Parser:
    def __init__(self, text: str, negative: bool) -> None:
        self._text = text
        self._negative = negative
        self._remarks: list[Remark] = []
        self._networks: list[LoraTag] = []
        self._parts: list[Part] = []
        self._ops: list[Op] = []
        self._frames: list[_Frame] = []
        self._colon: tuple[int, int] | None = None
        """The last colon outside all brackets, in the present part: the place of its instruction, and its offset."""
        self._joined = -1
        """Where the AND before the present part stands; -1 before the first."""

    def parse(self) -> Prompt:
        tokens = list(_tokens(self._text))
        partner = _paired(tokens)
        closed_depth = 0
        for index, token in enumerate(tokens):
            if token.kind == "mark" and token.text in "([":
                closed_depth += partner[index] >= 0
            elif token.kind == "mark" and token.text in ")]":
                closed_depth -= partner[index] >= 0
            self._take(token, partner[index] >= 0, closed_depth)
        self._end_part(len(self._text), last=True)
        return Prompt(
            self._text,
            tuple(self._parts),
            tuple(self._networks),
            tuple(sorted(self._remarks, key=lambda remark: (remark.start, remark.end))),
        )

    def _take(self, token: _Token, paired: bool, closed_depth: int) -> None:
        kind, text, start = token
        if kind == "tag":
            self._take_tag(text, start)
        elif kind == "word" and text == "AND":
            self._take_and(start, closed_depth)
        elif kind == "word":
            self._ops.append(Op(Kind.BREAK, start, text))
        elif kind == "mark" and text in "([":
            self._frames.append(_Frame(len(self._ops), text == "[", paired))
            self._ops.append(Op(Kind.OPEN, start, text))
        elif kind == "mark" and text in ")]":
            self._take_close(text, start, paired)
        else:
            if kind == "mark":
                self._note_mark(text, start)
            self._ops.append(Op(Kind.TEXT, start, text[1:] if kind == "escape" else text))

    def _take_tag(self, text: str, start: int) -> None:
        if self._negative:
            self._say(start, start + len(text), "Networks in a negative prompt are left out.", error=True)
            return
        tag, remarks = networks.read_tag(text, start)
        self._networks += [tag] if tag is not None else []
        self._remarks += remarks

    def _note_mark(self, text: str, start: int) -> None:
        if self._frames:
            self._frames[-1].marks.append((text, len(self._ops), start))
        elif text == ":":
            self._colon = (len(self._ops), start)

    def _take_and(self, start: int, closed_depth: int) -> None:
        if self._negative:
            self._say(start, start + 3, "AND joins conditions in prompts only; here it is an ordinary word.")
        elif closed_depth:
            self._say(start, start + 3, "AND inside brackets is an ordinary word.")
        else:
            self._end_part(start, last=False)
            return
        self._ops.append(Op(Kind.TEXT, start, "AND"))

    def _take_close(self, text: str, start: int, paired: bool) -> None:
        if not paired:
            self._say(start, start + 1, "This bracket closes nothing and is an ordinary character.")
            self._ops.append(Op(Kind.TEXT, start, text))
            return
        while not self._frames[-1].closed:
            self._close_open_ended(start)
        frame = self._frames.pop()
        if frame.square:
            self._close_square(frame, start)
        else:
            self._close_round(frame, start)

    def _close_round(self, frame: _Frame, at: int) -> None:
        factor = STRONGER
        colons = [mark for mark in frame.marks if mark[0] == ":"]
        if colons:
            _, place, offset = colons[-1]
            said = self._plain_after(place, offset, at)
            if said is not None and _NUMBER.fullmatch(said.strip()):
                factor = self._bounded(float(said), offset, at)
                del self._ops[place:]
            elif said is not None and _LIKE_A_WEIGHT.fullmatch(said):
                words = "{text} is no weight: expected a number, such as 1.2. It is ordinary text."
                self._say(offset + 1, at, words, error=True, text=shortened(said.strip()))
        self._finish(frame, factor, at)

    def _close_square(self, frame: _Frame, at: int) -> None:
        bars = [mark for mark in frame.marks if mark[0] == "|"]
        colons = [mark for mark in frame.marks if mark[0] == ":"]
        if bars:
            self._choose(frame, [place for _, place, _ in bars], None, at)
            return
        said = self._plain_after(colons[-1][1], colons[-1][2], at) if colons else None
        number = said is not None and _EXPONENT.fullmatch(said.strip())
        if number and said is not None and len(colons) <= 2:
            when = _when(said.strip())
            del self._ops[colons[-1][1] :]
            self._choose(frame, [place for _, place, _ in colons[:-1]], when, at)
            return
        start = self._ops[frame.op].start
        if number:
            words = "A schedule is [from:to:when], [to:when] or [from::when]; this one has too many parts."
            self._say(start, at + 1, words, error=True)
        elif len(colons) == 2:
            words = "A schedule ends in a number, as in [from:to:0.5]; this is ordinary text."
            self._say(start, at + 1, words)
        self._finish(frame, 1 / STRONGER, at)

    def _choose(self, frame: _Frame, separators: list[int], when: When | None, at: int) -> None:
        """Make the bracket's instruction a CHOOSE whose branches are set apart by the instructions ``separators``."""
        op = self._ops[frame.op]
        end = len(self._ops)
        for place in separators:
            self._ops[place] = Op(Kind.NEXT, self._ops[place].start, end=end)
        branches = (frame.op + 1, *(place + 1 for place in separators))
        op.kind, op.when, op.end = Kind.CHOOSE, when, end
        op.branches = branches if when is None or len(branches) == 2 else (-1, *branches)
        self._ops.append(Op(Kind.CLOSE, at))

    def _plain_after(self, place: int, offset: int, at: int) -> str | None:
        """What was typed between a colon and ``at``; None where it holds more than ordinary text."""
        plain = all(op.kind is Kind.TEXT for op in self._ops[place + 1 :])
        return self._text[offset + 1 : at] if plain else None

    def _finish(self, frame: _Frame, factor: float, at: int) -> None:
        op = self._ops[frame.op]
        op.factor, op.end = factor, len(self._ops)
        self._ops.append(Op(Kind.CLOSE, at))

    def _close_open_ended(self, at: int) -> None:
        """A bracket that nothing closes counts up to ``at``, the end of what it stands in."""
        frame = self._frames.pop()
        start = self._ops[frame.op].start
        self._say(start, start + 1, "This bracket is never closed: it counts up to the end of what it stands in.")
        self._finish(frame, 1 / STRONGER if frame.square else STRONGER, at)

    def _bounded(self, weight: float, start: int, end: int) -> float:
        if abs(weight) > LARGEST:
            self._say(start + 1, end, "Weights go up to {most}.", error=True, most=f"{LARGEST:g}")
        return max(-LARGEST, min(LARGEST, weight))

    def _end_part(self, at: int, *, last: bool) -> None:
        while self._frames:
            self._close_open_ended(at)
        several = not last or self._joined >= 0
        weight = self._part_weight(at) if several else 1.0
        blank = all(op.kind is not Kind.TEXT or not op.text.strip() for op in self._ops)
        if not blank and len(self._parts) >= PARTS_MAX:
            words = "There may be {most} conditions: this one is left out."
            self._say(self._joined, self._joined + 3, words, error=True, most=str(PARTS_MAX))
        elif not blank or (last and not self._parts):
            self._note_breaks()
            self._parts.append(Part(weight, tuple(self._ops)))
        elif several:
            where = self._joined if last else at
            self._say(where, where + 3, "AND joins two texts; one side is empty here.")
        self._ops, self._colon, self._joined = [], None, at

    def _part_weight(self, at: int) -> float:
        """The number after the last colon of a part, taken off it; 16:9, with no space before the colon and a digit
        there, is a ratio.
        """
        if self._colon is None:
            return 1.0
        place, offset = self._colon
        said = self._plain_after(place, offset, at)
        found = _PART_WEIGHT.fullmatch(said) if said is not None else None
        if found is None or self._text[offset - 1 : offset].isdigit():
            return 1.0
        del self._ops[place:]
        return self._bounded(float(found["number"]), offset, at)

    def _note_breaks(self) -> None:
        depth: list[bool] = []
        for op in self._ops:
            if op.kind in (Kind.OPEN, Kind.CHOOSE):
                depth.append(op.kind is Kind.OPEN or (bool(depth) and depth[-1]))
            elif op.kind is Kind.CLOSE:
                depth.pop()
            elif op.kind is Kind.BREAK and depth and depth[-1]:
                op.kind = Kind.TEXT
                self._say(op.start, op.start + 5, "BREAK inside a weight is an ordinary word.")

    def _say(self, start: int, end: int, message: str, *, error: bool = False, **values: str) -> None:
        self._remarks.append(Remark(start, end, message, values, error))


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(str(found.lastgroup), found.group(), found.start())


def _paired(tokens: list[_Token]) -> list[int]:
    """For each bracket the place of the one it belongs to, else -1. A closing one leaves open those opened since its
    own was.
    """
    partner = [-1] * len(tokens)
    stack: list[int] = []
    open_now = {"(": 0, "[": 0}
    for index, token in enumerate(tokens):
        if token.kind != "mark" or token.text in ":|":
            continue
        if token.text in "([":
            stack.append(index)
            open_now[token.text] += 1
            continue
        wanted = _PAIRS[token.text]
        if not open_now[wanted]:
            continue
        while True:
            other = stack.pop()
            open_now[tokens[other].text] -= 1
            if tokens[other].text == wanted:
                break
        partner[index], partner[other] = other, index
    return partner


def _when(number: str) -> When:
    """Where a schedule switches: with a point it is a share of the steps up to 1.0, else a count."""
    value = max(-1e9, min(1e9, float(number)))
    return When(value, "." in number and value <= 1.0)
