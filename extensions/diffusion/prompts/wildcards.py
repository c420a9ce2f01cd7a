"""``__name__`` in a prompt becomes a line of the file ``name.txt``, drawn by the picture's seed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .remarks import Remark, shortened

FOLDER = "wildcards"
"""The folder's name in the data folder and beside the models."""

_NAME = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*")
_NAME_CHARS_MAX = 200
_FILE_BYTES_MAX = 8 * 2**20
_DEPTH_MAX = 16
_DRAWS_MAX = 1000
_TEXT_CHARS_MAX = 20_000
"""A line may hold wildcards itself: what it grows into is bounded."""


@dataclass(frozen=True)
class Found:
    """A wildcard in a text: ``text[start:end]``."""

    name: str
    start: int
    end: int


class Wildcards:
    """The files below ``folders``; of two with one name the first counts. Each is read once."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._lines: dict[str, tuple[str, ...] | None] = {}

    def lines(self, name: str) -> tuple[str, ...] | None:
        """The lines of ``name.txt`` that are neither blank nor begin with #; None where there is no such file."""
        if name not in self._lines:
            path = self._path(name)
            self._lines[name] = None if path is None else _read(path)
        return self._lines[name]

    def names(self) -> list[str]:
        """All that may be asked for."""
        found = {
            path.relative_to(folder).with_suffix("").as_posix()
            for folder in self._folders
            if folder.is_dir()
            for path in folder.rglob("*.txt")
        }
        return sorted(name for name in found if self._path(name) is not None)

    def _path(self, name: str) -> Path | None:
        if not _NAME.fullmatch(name) or ".." in name:
            return None
        for folder in self._folders:
            root = folder.resolve()
            path = (root / f"{name}.txt").resolve()
            if path.is_relative_to(root) and path.is_file():
                return path
        return None


def _read(path: Path) -> tuple[str, ...]:
    with path.open("rb") as file:
        text = file.read(_FILE_BYTES_MAX).decode("utf-8-sig", errors="replace")
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def find(text: str) -> list[Found]:
    """Every wildcard in ``text``. A backslash before an underscore makes it an ordinary one."""
    found: list[Found] = []
    at = _next_mark(text, 0)
    while at >= 0:
        end = _next_mark(text, at + 2)
        name = text[at + 2 : end] if end >= 0 else ""
        if end >= 0 and len(name) <= _NAME_CHARS_MAX and _NAME.fullmatch(name):
            found.append(Found(name, at, end + 2))
            end = _next_mark(text, end + 2)
        at = end
    return found


def _next_mark(text: str, start: int) -> int:
    at = text.find("__", start)
    while at > 0 and text[at - 1] == "\\":
        at = text.find("__", at + 1)
    return at


class Draw:
    """Draws lines for one picture: the same seed draws the same, one after the other."""

    def __init__(self, wildcards: Wildcards, seed: int) -> None:
        self._wildcards = wildcards
        self._seed = seed
        self._draws = 0

    def expand(self, text: str) -> tuple[str, list[Remark]]:
        """``text`` with a line for every wildcard, those in lines as well; one without a file stays as it is. What is
        remarked has its place in ``text``.
        """
        remarks: list[Remark] = []
        pieces: list[str] = []
        at = 0
        for found in find(text):
            line = self._line(found.name, 0)
            if line is None:
                remarks.append(missing(found))
                continue
            pieces += [text[at : found.start], line]
            at = found.end
        grown = "".join([*pieces, text[at:]])
        if len(grown) > max(_TEXT_CHARS_MAX, len(text)):
            words = "The lines of wildcards are longer than {most} characters together: the end was cut off."
            remarks.append(Remark(0, len(text), words, {"most": str(_TEXT_CHARS_MAX)}, error=True))
            grown = grown[:_TEXT_CHARS_MAX]
        return grown, remarks

    def _line(self, name: str, depth: int) -> str | None:
        lines = self._wildcards.lines(name)
        if not lines or depth >= _DEPTH_MAX or self._draws >= _DRAWS_MAX:
            return None
        line = lines[self._number(len(lines))]
        pieces: list[str] = []
        at = 0
        for found in find(line):
            inner = self._line(found.name, depth + 1)
            if inner is not None and sum(map(len, pieces)) + len(inner) <= _TEXT_CHARS_MAX:
                pieces += [line[at : found.start], inner]
                at = found.end
        return "".join([*pieces, line[at:]])

    def _number(self, below: int) -> int:
        """A number in 0..below-1. A hash is the same in every version of every library."""
        self._draws += 1
        digest = hashlib.sha256(f"{self._seed}/{self._draws}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % below


def missing(found: Found) -> Remark:
    """What is said of a wildcard without a file."""
    words = "There is no wildcard file {name}.txt with lines in it: the text stays as it is."
    return Remark(found.start, found.end, words, {"name": shortened(found.name)}, error=True)
