"""Identifiers that sort by time, used for jobs; below every other room."""

from __future__ import annotations

import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, without letters that read like digits
_ID = re.compile(rf"[{_ALPHABET}]{{16}}")


def _base32(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_id() -> str:
    """Sixteen characters: ten of the time in milliseconds, six of chance. Safe in file names and addresses."""
    return _base32(time.time_ns() // 1_000_000, 10) + _base32(secrets.randbits(30), 6)


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of ``new_id``'s answer."""
    return _ID.fullmatch(text) is not None
