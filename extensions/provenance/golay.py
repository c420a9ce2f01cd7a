"""Below the watermark: the extended Golay code (24, 12, 8), decoded exactly from soft values.

Golay 1949; the generator polynomial is x^11 + x^9 + x^7 + x^6 + x^5 + x + 1, extended by a bit of parity. Any 3 wrong
bits of 24 are put right; with soft values, the most likely word is found.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0b101011100011
DATA_BITS, CODE_BITS = 12, 24


@cache
def codewords() -> NDArray[np.int8]:
    """int8 [4096,24]: the word of each 12 bits, with -1 for 0 and 1 for 1."""
    words = np.zeros((1 << DATA_BITS, CODE_BITS), np.int8)
    for data in range(1 << DATA_BITS):
        rest = data << 11
        for bit in range(22, 10, -1):
            if rest >> bit & 1:
                rest ^= _POLYNOMIAL << (bit - 11)
        word = data << 11 | rest
        word = word << 1 | (word.bit_count() & 1)
        words[data] = [word >> bit & 1 for bit in range(CODE_BITS - 1, -1, -1)]
    return words * 2 - 1


def encode(data: int) -> NDArray[np.int8]:
    """12 bits -> int8 [24] of -1 and 1. Raises ValueError."""
    if not 0 <= data < 1 << DATA_BITS:
        raise ValueError(f"golay: expected 12 bits, got {data}")
    return codewords()[data]


def decode(soft: NDArray[np.float64]) -> int:
    """float [24], positive where 1 is likely -> the 12 bits of the most likely word."""
    return int(np.argmax(codewords() @ soft))
