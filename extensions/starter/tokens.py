"""Training's text side: the captions' vocabulary -> a CLIPTokenizer of our own, one token a word of the grammar."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from .world import vocabulary_texts

MAX_LENGTH = 77
START, END = "<|startoftext|>", "<|endoftext|>"


def learn_merges(words: Iterable[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Byte-pair merges (Sennrich et al. 2016, algorithm 1) until every word, given as symbols, is one symbol.

    Ties go by the alphabet.
    """
    split = {w: w for w in sorted(set(words))}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(p for symbols in split.values() for p in pairwise(symbols))
        if not pairs:
            return merges
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        split = {w: _merge(symbols, best) for w, symbols in split.items()}


def _merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    i = 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            out.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return tuple(out)


def grammar_words() -> list[str]:
    """Every run of Latin letters in the captions' grammar, in lower case, sorted."""
    return sorted({w for text in vocabulary_texts() for w in re.findall(r"[a-z]+", text.lower())})


def grammar_characters() -> list[str]:
    """Every Chinese character and full-width mark in the captions' grammar, sorted."""
    return sorted(
        {c for text in vocabulary_texts() for c in re.findall(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]", text)}
    )


def grammar_merges() -> list[tuple[str, str]]:
    """Merges that make one token of every Latin word, of every Chinese character and of most Chinese words.

    Chinese runs have no spaces: a character stands inside a run or, with `</w>`, at its end. Characters come first, so
    that no word of two characters takes a byte away from its neighbours.
    """
    merges = learn_merges([_symbols(w, end=True) for w in grammar_words()])
    characters = grammar_characters()
    merges += learn_merges([_symbols(c, end=end) for c in characters for end in (False, True)])
    runs = {w for text in vocabulary_texts() for w in re.findall(r"[\u4e00-\u9fff]{2,4}", text)}
    joined = [(*(_in_bytes(c) for c in w[:-1]), _in_bytes(w[-1]) + e) for w in sorted(runs) for e in ("", "</w>")]
    return merges + learn_merges(joined)


def _symbols(word: str, *, end: bool) -> tuple[str, ...]:
    """A word as byte-level symbols, the last marked where it ends a run."""
    symbols = _in_bytes(word)
    return (*symbols[:-1], symbols[-1] + ("</w>" if end else ""))


def _in_bytes(text: str) -> str:
    """Text as ByteLevel writes it: one printable character a UTF-8 byte."""
    ((written, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return str(written)


def save_tokenizer(folder: Path) -> None:
    """Write vocab.json, merges.txt and the configuration; text outside the grammar falls back to bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = grammar_merges()
    symbols = [*alphabet, *(c + "</w>" for c in alphabet), *dict.fromkeys(a + b for a, b in merges), START, END]
    vocabulary = {symbol: i for i, symbol in enumerate(dict.fromkeys(symbols))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    configuration = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_LENGTH,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
        "add_prefix_space": False,
        "errors": "replace",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration, indent=2) + "\n", encoding="utf-8")


def load_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a folder that save_tokenizer wrote."""
    return CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
