"""Between two prompts: which token of the one stands for which of the other, so that attention can be handed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor

from webui.api import FieldError, ParameterError


@dataclass(frozen=True)
class Alignment:
    """How cross-attention maps of one prompt become those of another."""

    matrix: Tensor
    """float32 [source tokens, target tokens]: whose attention a token of the target takes over, in what shares."""
    kept: Tensor
    """float32 [target tokens]: 1 where it takes over any, 0 where it is new and keeps its own."""
    factors: Tensor
    """float32 [target tokens]: by how much its attention is multiplied."""


def align(source: Sequence[int], target: Sequence[int]) -> tuple[Tensor, Tensor]:
    """``Alignment.matrix`` and ``kept`` of two padded rows of token ids.

    What is the same is handed over one to one; where some tokens stand in place of others, each takes the mean of
    those; what is only added keeps its own attention (Hertz et al. 2022, section 3: replacing and refining).
    """
    matrix = torch.zeros(len(source), len(target))
    for tag, first, last, start, stop in SequenceMatcher(None, source, target, autojunk=False).get_opcodes():
        if last - first == stop - start:  # equal, or as many in their place
            matrix[range(first, last), range(start, stop)] = 1
        elif tag == "replace":
            matrix[first:last, start:stop] = 1 / (last - first)
    return matrix, (matrix.sum(0) > 0).float()


def alignment(tokenizer: Any, source: str, target: str, emphasis: Mapping[str, float]) -> Alignment:
    """Of two prompts as CLIP's tokenizer cuts them, cut to its length. ``emphasis``: words of the target -> factor.

    Raises ParameterError for a word that the target has not.
    """
    rows = [token_ids(tokenizer, text) for text in (source, target)]
    matrix, kept = align(*rows)
    factors = torch.ones(len(rows[1]))
    for word, factor in emphasis.items():
        places = places_of(rows[1], word_ids(tokenizer, word))
        if not places:
            raise ParameterError([FieldError("emphasis", "expected words of the prompt", word)])
        factors[places] = factor
    return Alignment(matrix, kept, factors)


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Padded to the tokenizer's length."""
    length = tokenizer.model_max_length
    return list(tokenizer(text, padding="max_length", max_length=length, truncation=True).input_ids)


def word_ids(tokenizer: Any, text: str) -> list[int]:
    """Without the marks of beginning and end."""
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def places_of(row: Sequence[int], part: Sequence[int]) -> list[int]:
    """Every place in ``row`` that is of an occurrence of ``part``."""
    found: set[int] = set()
    for start in range(len(row) - len(part) + 1):
        if part and list(row[start : start + len(part)]) == list(part):
            found |= set(range(start, start + len(part)))
    return sorted(found)


def read_emphasis(text: str) -> dict[str, float]:
    """``blue: 2, hat: 0.5`` -> factors of -10 to 10. Raises ParameterError."""
    found: dict[str, float] = {}
    for part in filter(None, (one.strip() for one in text.replace("\n", ",").split(","))):
        word, colon, value = part.rpartition(":")
        try:
            factor = float(value)
        except ValueError:
            factor = float("nan")
        if not colon or not word.strip() or not -10 <= factor <= 10:
            said = "expected word: factor from -10 to 10, parted by commas"
            raise ParameterError([FieldError("emphasis", said, part)])
        found[word.strip()] = factor
    return found
