"""Embeddings (textual inversion) that a prompt names: which words of its text are names, and the numbers that stand for
their vectors among its tokens. Chunks, weights and schedules take those as they take any token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from .remarks import Remark, shortened

KIND = "embedding"
VECTORS_MAX = 1024
"""Vectors of one embedding."""
_FIRST = 1 << 24
"""Above every vocabulary."""
_ASKED = re.compile(r"(?<!\w)embedding:", re.IGNORECASE)
_LETTER = r"[^\s,()\[\]|:<>]"
"""Of a name after ``embedding:``."""
_SUFFIX = re.compile(r"\.(?:safetensors|pt|bin)$", re.IGNORECASE)
_SINGLE = ("emb_params", "string_to_param.*", "*")


@dataclass(frozen=True)
class Named:
    """``text[start:end]`` names an embedding. ``name`` is its file's; empty where there is no such file, which only
    ``embedding:`` can ask for.
    """

    name: str
    text: str
    start: int

    @property
    def asked(self) -> bool:
        """Whether it says ``embedding:``, so that it cannot be an ordinary word."""
        return _ASKED.match(self.text) is not None


class Names:
    """The names of all embeddings there are, for finding them in texts. A name is a file's without its suffix; it is
    found as a word of its own, in large letters or small, and after ``embedding:``.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._known = {name.lower(): name for name in names if name}
        longest_first = sorted(self._known, key=lambda name: (-len(name), name))
        known = "|".join(re.escape(name) for name in longest_first) or r"(?!)"
        ends = r"(?:\.(?:safetensors|pt|bin))?"
        self._pattern = re.compile(
            rf"(?<!\w)embedding:(?:(?P<asked>{known}){ends}(?!{_LETTER})|(?P<said>{_LETTER}+))"
            rf"|(?<!\w)(?P<bare>{known})(?!\w)",
            re.IGNORECASE,
        )

    def find(self, text: str) -> list[Named]:
        """Every name in ``text``, in order."""
        if not self._known and not _ASKED.search(text):
            return []
        found = []
        for match in self._pattern.finditer(text):
            known = match["asked"] or match["bare"]
            name = self._known[known.lower()] if known else self._of(match["said"])
            found.append(Named(name, match[0], match.start()))
        return found

    def pieces(self, text: str) -> Iterator[str | Named]:
        """``text`` in order: names, and what stands between them."""
        end = 0
        for named in self.find(text):
            if named.start > end:
                yield text[end : named.start]
            yield named
            end = named.start + len(named.text)
        if end < len(text) or not end:
            yield text[end:]

    def _of(self, said: str) -> str:
        """The embedding that was asked for as ``folder/name.suffix``."""
        stem = _SUFFIX.sub("", said.rstrip(".;").replace("\\", "/").rpartition("/")[2])
        return self._known.get(stem.lower(), "")


def asked(text: str) -> bool:
    """Whether ``text`` asks for an embedding as such."""
    return _ASKED.search(text) is not None


def missing(named: Named) -> Remark:
    """That an embedding is not there."""
    name = shortened(named.text.partition(":")[2])
    words = "There is no embedding {name}: it was left out."
    return Remark(named.start, named.start + len(named.text), words, {"name": name}, error=True)


@dataclass
class Numbers:
    """Numbers for the vectors of embeddings, which stand among tokens; one instance serves one prompt or more."""

    _names: list[str] = field(default_factory=list)

    def of(self, name: str, count: int) -> list[int]:
        """As many as the embedding has vectors."""
        if name not in self._names:
            self._names.append(name)
        first = _FIRST + self._names.index(name) * VECTORS_MAX
        return list(range(first, first + count))

    def vector(self, number: int) -> tuple[str, int] | None:
        """The embedding and the place of its vector; None for an ordinary token."""
        place, row = divmod(number - _FIRST, VECTORS_MAX)
        return (self._names[place], row) if number >= _FIRST else None


def goes_on(number: int) -> bool:
    """Whether the vector before belongs to the same embedding: they are not parted."""
    return number >= _FIRST and (number - _FIRST) % VECTORS_MAX > 0


def tables(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
    """Text encoder (``clip_l``, ``clip_g``; empty for the only one) -> name of its table, of a file with these tensors.
    Empty for a file of no layout that is known: SDXL's pair, A1111's ``string_to_param`` and ``emb_params``, or
    diffusers' single tensor under the word that stood for it in training.
    """
    pair = {name: name for name in ("clip_l", "clip_g") if name in shapes}
    if pair:
        return pair
    rows = [name for name, shape in shapes.items() if len(shape) in (1, 2)]
    single = next((name for name in _SINGLE if name in rows), rows[0] if len(rows) == 1 else "")
    single = single or next((name for name in rows if name.startswith("string_to_param")), "")
    return {"": single} if single else {}


def vector_count(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """How many vectors an embedding has; 0 where it is none."""
    found = [shapes[name] for name in tables(shapes).values()]
    return max((shape[0] if len(shape) == 2 else 1 for shape in found), default=0)
