"""Counts a prompt's tokens for the form, with the tokenizer of the chosen model and without transformers."""

from __future__ import annotations

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


def count(entry: ModelEntry | None, text: str) -> TokenCount:
    """The tokens of ``text`` for the model of ``entry``, without start and end marks."""
    folder = entry.tokenizer if entry is not None else None
    loaded = None
    if folder is not None:
        try:
            loaded = _load(str(folder), _stamp(folder))
        except (OSError, ValueError, TypeError, ModelError):
            loaded = None
    if loaded is None:
        used, limit = len(_WORDS.findall(text)), CLIP_CHUNK
    else:
        tokenizer, limit = loaded
        used = len(tokenizer.encode(text, add_special_tokens=False).ids)
    return TokenCount(used, limit, max(1, -(-used // limit)), exact=loaded is not None)


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
