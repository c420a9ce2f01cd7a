"""From the tokens of a prompt's spans to chunks as long as a text encoder takes; for encoders and for the counter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .embeddings import goes_on
from .program import Body

BACKTRACK = 20
"""A chunk that is full is broken after its last comma, where that is at most this many tokens back."""


@dataclass
class Chunk:
    """Tokens of one chunk without start, end and padding, and the weight of each."""

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    @property
    def weighted(self) -> bool:
        return any(weight != 1.0 for weight in self.weights)


def chunks(body: Body, tokenize: Callable[[str], Sequence[int]], comma: int | None, length: int) -> list[Chunk]:
    """The chunks of a step's text, at least one, of at most ``length`` tokens. ``tokenize`` gives a text's tokens
    without start and end; ``comma`` is the token at which a chunk may be broken.
    """
    made: list[Chunk] = []
    for section in body:
        tokens: list[int] = []
        weights: list[float] = []
        for span in section:
            met = tokenize(span.text)
            tokens += met
            weights += [span.weight] * len(met)
        made += _broken(tokens, weights, comma, length)
    while len(made) > 1 and not made[-1].tokens:  # a BREAK at the end begins nothing
        made.pop()
    return made


def _broken(tokens: list[int], weights: list[float], comma: int | None, length: int) -> list[Chunk]:
    made: list[Chunk] = []
    start = 0
    while True:
        end = min(len(tokens), start + length)
        if end < len(tokens) and tokens[end] != comma:
            back = range(end - 1, max(start, end - BACKTRACK) - 1, -1)
            end = next((at + 1 for at in back if tokens[at] == comma), _before_vectors(tokens, start, end))
        made.append(Chunk(tokens[start:end], weights[start:end]))
        start = end
        if start >= len(tokens):
            return made


def _before_vectors(tokens: list[int], start: int, end: int) -> int:
    """``end``, or the place before the embedding that it would part, where a chunk that begins at ``start`` has one."""
    whole = end
    while whole > start and goes_on(tokens[whole]):
        whole -= 1
    return whole if whole > start else end
