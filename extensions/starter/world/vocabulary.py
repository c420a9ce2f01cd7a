"""Drawing world: every text of its grammars, from which the tokenizer learns its words."""

from __future__ import annotations

from collections.abc import Iterator

from .captions import vocabulary
from .captions_zh import vocabulary_zh
from .edits import vocabulary_edits


def vocabulary_texts() -> Iterator[str]:
    """Texts that together hold every word of the captions and instructions, in English and in Chinese."""
    yield from vocabulary()
    yield from vocabulary_zh()
    yield from vocabulary_edits()
