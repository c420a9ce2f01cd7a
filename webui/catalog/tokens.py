"""Counts a prompt's tokens for the form, with the tokenizer of the chosen model and without transformers."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE

from webui.core.errors import ModelError

from .entry import ModelEntry
from .folders import read_json

CLIP_CHUNK = 75
"""Tokens that CLIP's text encoder takes at once, without its start and end marks."""

_SPLIT = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_WORDS = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_+")
_START, _END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class TokenCount:
    """How long a prompt is. ``exact`` is False where the model's tokenizer is not known and words were counted."""

    used: int
    limit: int
    """Tokens the text encoder takes at once."""
    chunks: int
    """How many times ``limit`` the prompt fills, at least 1."""
    exact: bool = True


class PromptTokens:
    """The tokenizer of one model; where it is not known, words are counted in its place."""

    def __init__(self, entry: ModelEntry | None) -> None:
        folder = entry.tokenizer if entry is not None else None
        self._tokenizer: Tokenizer | None = None
        self.limit = CLIP_CHUNK
        """Tokens the text encoder takes at once."""
        if folder is not None:
            with contextlib.suppress(OSError, ValueError, TypeError, ModelError):
                self._tokenizer, self.limit = _load(str(folder), _stamp(folder))

    @property
    def exact(self) -> bool:
        return self._tokenizer is not None

    def tokenize(self, text: str) -> list[int]:
        """The tokens of ``text``, without start and end marks. Of words, each has the number of its first letter, so
        that a comma is told from other words.
        """
        if self._tokenizer is None:
            return [ord(word[0]) for word in _WORDS.findall(text)]
        # A lone surrogate is no text that a tokenizer takes.
        plain = text.encode("utf-8", errors="replace").decode("utf-8")
        return list(self._tokenizer.encode(plain, add_special_tokens=False).ids)

    def token(self, name: str) -> int | None:
        """The number of a token as the vocabulary writes it, such as ``,</w>``."""
        if self._tokenizer is None:
            return ord(name[0]) if name else None
        number: int | None = self._tokenizer.token_to_id(name)
        return number


def count(entry: ModelEntry | None, text: str) -> TokenCount:
    """The tokens of ``text`` for the model of ``entry``, without start and end marks."""
    tokens = PromptTokens(entry)
    used = len(tokens.tokenize(text))
    return TokenCount(used, tokens.limit, max(1, -(-used // tokens.limit)), exact=tokens.exact)


def _stamp(folder: Path) -> int:
    return max((path.stat().st_mtime_ns for path in folder.iterdir()), default=0)


@lru_cache(maxsize=8)
def _load(folder: str, stamp: int) -> tuple[Tokenizer, int]:
    """The tokenizer in ``folder`` and its limit. Raises OSError, ValueError, TypeError, ModelError on files it
    cannot use.
    """
    place = Path(folder)
    config: dict[str, Any] = {}
    if (place / "tokenizer_config.json").is_file():
        config = read_json(place / "tokenizer_config.json")
    longest = config.get("model_max_length")
    if (place / "tokenizer.json").is_file():
        tokenizer = _from_text((place / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
    else:
        tokenizer = _clip(place)
    marks = 2 if str(config.get("tokenizer_class", "CLIPTokenizer")).startswith("CLIP") else 1
    limit = longest - marks if isinstance(longest, int) and marks < longest < 100_000 else CLIP_CHUNK
    return tokenizer, limit


def _from_text(text: str) -> Tokenizer:
    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(str(error)) from error


def _clip(place: Path) -> Tokenizer:
    """CLIP's byte-level BPE from merges.txt (or merges.txt.gz) and vocab.json; without vocab.json it follows from the
    merges.
    """
    packed = place / "merges.txt.gz"
    text = (
        gzip.decompress(packed.read_bytes()).decode("utf-8")
        if packed.is_file()
        else (place / "merges.txt").read_text(encoding="utf-8")
    )
    pairs = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#version")]
    merges = [(left, right) for left, right in pairs]
    if (place / "vocab.json").is_file():
        vocabulary = json.loads((place / "vocab.json").read_text(encoding="utf-8"))
    else:
        letters = pre_tokenizers.ByteLevel.alphabet()
        symbols = sorted(letters, key=lambda letter: (ord(letter) > 255, ord(letter)))
        tokens = [*symbols, *(letter + "</w>" for letter in symbols), *(a + b for a, b in merges), _START, _END]
        vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(
        BPE(vocab=vocabulary, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=_END)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return tokenizer
