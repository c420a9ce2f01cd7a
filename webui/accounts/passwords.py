"""Passwords and secrets, below the store: how they are made, and what of them is kept.

A password is kept as Argon2id (RFC 9106) with argon2-cffi's present defaults, its second recommended option: 64 MiB, 3
passes, 4 lanes. Secrets that we draw have 256 random bits, so one SHA-256 keeps them: nothing can be tried out.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webui.core.errors import FieldError, ParameterError

MIN_CHARS = 10
MAX_CHARS = 256

_HASHER = PasswordHasher()
_TURNS = threading.BoundedSemaphore(2)
"""Each check takes 64 MiB for a twentieth of a second: many at once would be a way to fill the memory."""
NOBODYS = "$argon2id$v=19$m=65536,t=3,p=4$bGlmZWxpa2UtLW5vYm9keQ$Zm9yIG5vIHBhc3N3b3JkIGF0IGFsbCAtLSAtLSAtLSA"
"""A hash in due form that fits no password: checked for names that there are not, which so take as long."""


def normalised(password: str) -> str:
    """As it is hashed: the same letters, however a keyboard put them together."""
    return unicodedata.normalize("NFKC", password)


def hash_password(password: str) -> str:
    """Raises ParameterError for one that is too short or too long."""
    text = normalised(password)
    if not MIN_CHARS <= len(text) <= MAX_CHARS:
        expected = f"expected {MIN_CHARS} to {MAX_CHARS} characters"
        raise ParameterError([FieldError("password", expected, f"{len(text)} characters")])
    with _TURNS:
        return _HASHER.hash(text)


def fits(kept: str, password: str) -> bool:
    """Whether ``password`` is the one that ``kept`` was made of. Takes the same time for an empty ``kept``."""
    if len(password) > MAX_CHARS:
        return False
    try:
        with _TURNS:
            return _HASHER.verify(kept or NOBODYS, normalised(password))
    except (VerificationError, InvalidHashError):
        return False


def is_dated(kept: str) -> bool:
    """Whether a hash was made with weaker settings than today's."""
    return bool(kept) and _HASHER.check_needs_rehash(kept)


def draw() -> str:
    """A new secret: 43 letters that may stand in an address."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """What is kept of a secret that ``draw`` made."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
