"""Run by hand, once: turns the vocabulary that CLIP was published with into configs/clip/merges.txt.gz.

    python extensions/diffusion/models/scripts/make_clip_merges.py bpe_simple_vocab_16e6.txt.gz

The source is in OpenAI's CLIP and in the wheel of open_clip_torch (both MIT). Only its first 48,894 merges belong to
the vocabulary of 49,408 tokens; vocab.json follows from them (see ``extensions/diffusion/models/clip_vocabulary.py``), so it
is not stored.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

MERGES = 49_408 - 2 * 256 - 2
TARGET = Path(__file__).resolve().parent.parent / "configs" / "clip" / "merges.txt.gz"


def main(source: Path) -> None:
    lines = gzip.decompress(source.read_bytes()).decode("utf-8").split("\n")
    merges = lines[1 : MERGES + 1]
    if len(merges) != MERGES or any(len(line.split()) != 2 for line in merges):
        raise SystemExit(f"{source} is not CLIP's vocabulary: expected {MERGES} merges of two parts after a heading")
    text = "\n".join(["#version: 0.2", *merges]) + "\n"
    temporary = TARGET.with_suffix(".tmp")
    temporary.write_bytes(gzip.compress(text.encode("utf-8"), compresslevel=9, mtime=0))
    os.replace(temporary, TARGET)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
