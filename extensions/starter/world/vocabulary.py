"""Drawing world: every text of its grammars, from which the tokenizer learns its words."""

from __future__ import annotations

from collections.abc import Iterator

from .captions import vocabulary
from .captions_zh import vocabulary_zh
from .edits import vocabulary_edits
from .scene_captions import vocabulary_of_scenes
from .scene_captions_zh import vocabulary_of_scenes_zh


def vocabulary_texts() -> Iterator[str]:
    """Texts that together hold every word of the captions and instructions, in English and in Chinese."""
    yield from vocabulary()
    yield from vocabulary_zh()
    yield from vocabulary_of_scenes()
    yield from vocabulary_of_scenes_zh()
    yield from vocabulary_edits()
