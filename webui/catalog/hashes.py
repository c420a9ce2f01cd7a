"""Hashes of model files, kept in a file by size and time of change, so that each file is read once; used when a model
is about to run.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from pathlib import Path

log = logging.getLogger(__name__)


class HashStore:
    """sha256 of files, remembered in ``store``.

    Its lock guards the table and the writing of it, never the hashing: two threads may hash one file at the same
    time, with one result.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._table: dict[str, list[int | str]] | None = None
        self.revision = 0
        """Grows whenever the table does."""

    def known(self, paths: list[Path]) -> str:
        """The digest of ``paths`` where every one of them is remembered as it is now; else empty."""
        table = self._loaded()
        if not table:
            return ""
        digests = []
        for path in paths:
            real, stamp = _stamp(path)
            row = table.get(real)
            if row is None or row[:2] != stamp:
                return ""
            digests.append(str(row[2]))
        return _combined(paths, digests)

    def digest(self, paths: list[Path]) -> str:
        """sha256 of one file; of several, the sha256 of their names and digests. Raises OSError."""
        digests = []
        learned = {}
        table = self._loaded()
        for path in paths:
            real, stamp = _stamp(path)
            row = table.get(real)
            if row is not None and row[:2] == stamp:
                digests.append(str(row[2]))
                continue
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            digests.append(found)
            if _stamp(path)[1] == stamp:
                learned[real] = [*stamp, found]
        if learned:
            self._learn(learned)
        return _combined(paths, digests)

    def _loaded(self) -> dict[str, list[int | str]]:
        with self._lock:
            if self._table is None:
                self._table = self._read()
            return self._table

    def _read(self) -> dict[str, list[int | str]]:
        try:
            table = json.loads(self._store.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("the table of model hashes in %s cannot be read and is begun anew: %s", self._store, error)
            return {}
        rows = table.items() if isinstance(table, dict) else ()
        return {key: row for key, row in rows if isinstance(row, list) and len(row) == 3}

    def _learn(self, learned: dict[str, list[int | str]]) -> None:
        with self._lock:
            # Another process may have learned other files since: its rows are kept.
            self._table = {**self._read(), **(self._table or {}), **learned}
            self.revision += 1
            temporary = self._store.with_name(f"{self._store.name}.{os.getpid()}.tmp")
            try:
                self._store.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_text(json.dumps(self._table, indent=0, sort_keys=True), encoding="utf-8")
                os.replace(temporary, self._store)
            except OSError as error:
                log.warning("the table of model hashes cannot be written to %s: %s", self._store, error)


def old_short_hash(path: Path) -> str:
    """The 8 characters that A1111 showed once: of 64 KiB at 1 MiB; empty for a shorter file. Raises OSError."""
    with path.open("rb") as stream:
        stream.seek(0x100000)
        part = stream.read(0x10000)
    return hashlib.sha256(part).hexdigest()[:8] if part else ""


def tensors_hash(path: Path) -> str:
    """sha256 of a safetensors file without its table, which metadata may change; its first 12 characters are AutoV3.
    Raises OSError.
    """
    with path.open("rb") as stream:
        stream.seek(8 + int.from_bytes(stream.read(8), "little"))
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[str, list[int | str]]:
    stat = path.stat()
    return os.path.realpath(path), [stat.st_size, stat.st_mtime_ns]


def _combined(paths: list[Path], digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    if not digests:
        return ""
    lines = [f"{path.parent.name}/{path.name} {digest}\n" for path, digest in zip(paths, digests, strict=True)]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
