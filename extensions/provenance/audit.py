"""The audit log: one JSON line for each result that shows a real person, on disk before the result gets its name.

Each line holds the SHA-256 of the line before: a line that is changed or taken out later breaks the chain after it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_TAIL = 65_536


def write_entry(path: Path, entry: Mapping[str, Any]) -> None:
    """Append ``entry`` with the time and the chain, onto the disk itself. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file, _locked(file):
        told = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "previous": _last_hash(file), **entry}
        line = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n"
        file.write(line.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def broken_at(path: Path) -> int | None:
    """The number of the first line, from 1, that does not fit the one before; None where all fit. Raises OSError."""
    previous = ""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            said = json.loads(line)["previous"]
        except (ValueError, KeyError, TypeError):
            return number
        if said != previous:
            return number
        previous = hashlib.sha256(line).hexdigest()
    return None


def _last_hash(file: IO[bytes]) -> str:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(0, end - _TAIL))
    lines = file.read().splitlines()
    file.seek(0, os.SEEK_END)
    return hashlib.sha256(lines[-1]).hexdigest() if lines else ""


@contextmanager
def _locked(file: IO[bytes]) -> Iterator[None]:
    """Alone among the processes that append. Released when the file is closed in any case."""
    if os.name == "nt":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        try:
            yield
        finally:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]
        return
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
