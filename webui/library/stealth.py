"""Texts that some programs hide in the lowest bits of a picture's alpha channel; ``metadata`` asks for them where it
found nothing else.

Read column by column, the bits hold 15 letters (``stealth_pnginfo``, or ``stealth_pngcomp`` for gzip), 32 bits with
the number of bits that follow, big endian, and the text in UTF-8.
"""

from __future__ import annotations

import zlib

from PIL import Image

MAX_TEXT_BYTES = 4 * 2**20
_PLAIN, _PACKED = b"stealth_pnginfo", b"stealth_pngcomp"
_HEAD = len(_PLAIN) + 4
_LOW_BIT = bytes(ord("0") + value % 2 for value in range(256))


def hidden_text(image: Image.Image) -> str:
    """The text hidden in a decoded picture; empty where there is none or it is damaged."""
    if image.mode != "RGBA" or image.width * image.height < _HEAD * 8:
        return ""
    columns = image.getchannel("A").transpose(Image.Transpose.TRANSPOSE)
    rows_needed = -(-_HEAD * 8 // columns.width)
    head = _bits(columns.crop((0, 0, columns.width, min(rows_needed, columns.height))), 0, _HEAD * 8)
    signature, bits = head[: len(_PLAIN)], int.from_bytes(head[len(_PLAIN) :], "big")
    room = image.width * image.height - _HEAD * 8
    if signature not in (_PLAIN, _PACKED) or bits % 8 or not 0 < bits <= min(room, MAX_TEXT_BYTES * 8):
        return ""
    data = _bits(columns, _HEAD * 8, bits)
    if signature == _PACKED:
        try:
            data = zlib.decompressobj(wbits=31).decompress(data, MAX_TEXT_BYTES)
        except zlib.error:
            return ""
    return data.decode("utf-8", "replace")


def _bits(columns: Image.Image, start: int, count: int) -> bytes:
    """``count`` low bits of an L picture in reading order, from ``start`` on, eight a byte. ``count`` is a multiple of
    8.
    """
    digits = columns.tobytes()[start : start + count].translate(_LOW_BIT)
    return int(digits, 2).to_bytes(count // 8, "big")
