"""Between the bundled merge list and every tokenizer made from it: CLIP's vocabulary follows from its merges."""

from __future__ import annotations

import gzip
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "configs" / "clip"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_characters() -> list[str]:
    """A printable character for each of the 256 bytes, in the order of CLIP's first 256 tokens: printable bytes, then
    the others.
    """
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(value) for value in printable] + [chr(256 + index) for index in range(256 - len(printable))]


def read_merges(folder: Path = FOLDER) -> list[tuple[str, str]]:
    """The 48,894 merges, the strongest first. Raises OSError."""
    lines = gzip.decompress((folder / "merges.txt.gz").read_bytes()).decode("utf-8").splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#version"))
    return [(left, right) for left, right in pairs]


def vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Token -> id: the bytes, the bytes that end a word, the merges, start and end."""
    characters = byte_characters()
    tokens = [
        *characters,
        *(character + "</w>" for character in characters),
        *(left + right for left, right in merges),
        START,
        END,
    ]
    return {token: index for index, token in enumerate(tokens)}
