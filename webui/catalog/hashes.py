"""Hashes of model files, kept in a file by size and time of change, so that each file is read once; used when a model
is about to run, by the list of models, and by whoever looks one up by a hash.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

CHUNK_BYTES = 4 * 2**20
_OLD_PLACE, _OLD_BYTES = 0x100000, 0x10000


@dataclass(frozen=True)
class FileHashes:
    """What programs call a weights file by."""

    sha256: str
    """Of the whole file; its first 10 characters are A1111's and AutoV2."""
    tensors: str = ""
    """sha256 of a safetensors file without its table, which metadata may change: kohya's ``sshs_model_hash``; its first
    12 characters are AutoV3. Empty for other formats.
    """
    old: str = ""
    """The 8 characters that A1111 showed once (AutoV1, kohya's ``sshs_legacy_hash``): of 64 KiB at 1 MiB; empty for a
    shorter file.
    """

    @property
    def short(self) -> str:
        return self.sha256[:10]

    @property
    def auto_v3(self) -> str:
        return self.tensors[:12]


Row = list[int | str]
"""Size, time of change, sha256, hash of the tensors, old hash."""


class HashStore:
    """Hashes of files, remembered in ``store``.

    Its lock guards the table and the writing of it, never the hashing: two threads may hash one file at the same
    time, with one result.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._table: dict[str, Row] | None = None
        self._unwritten = 0
        self.revision = 0
        """Grows whenever the table does."""

    def known(self, paths: list[Path]) -> str:
        """The digest of ``paths`` where every one of them is remembered as it is now; else empty."""
        found = [self.known_file(path) for path in paths]
        digests = [one.sha256 for one in found if one is not None]
        return _combined(paths, digests) if len(digests) == len(paths) else ""

    def known_file(self, path: Path) -> FileHashes | None:
        """All hashes of one file, where it is remembered as it is now."""
        table = self._loaded()
        if not table:
            return None
        real, stamp = _stamp(path)
        row = table.get(real)
        if row is None or row[:2] != stamp:
            return None
        return FileHashes(*(str(part) for part in row[2:]))

    def digest(self, paths: list[Path]) -> str:
        """sha256 of one file; of several, the sha256 of their names and digests. Raises OSError."""
        digests = [self.file(path, write=False).sha256 for path in paths]
        self.flush()
        return _combined(paths, digests)

    def file(self, path: Path, *, write: bool = True, pause: Callable[[], None] | None = None) -> FileHashes:
        """All hashes of one file; it is read where it is not remembered.

        ``pause`` is called after each 4 MiB and may wait, or raise Cancelled. Without ``write`` the table waits for
        ``flush``. Raises OSError.
        """
        found = self.known_file(path)
        if found is None:
            real, stamp = _stamp(path)
            found = read_hashes(path, pause)
            if _stamp(path)[1] == stamp:
                self._learn({real: [*stamp, found.sha256, found.tensors, found.old]})
                if write:
                    self.flush()
        return found

    def flush(self) -> None:
        """Write what was learned since the last time, all or nothing."""
        with self._lock:
            if not self._unwritten or self._table is None:
                return
            # Another process may have learned other files since: its rows are kept.
            self._table = {**self._read(), **self._table}
            temporary = self._store.with_name(f"{self._store.name}.{os.getpid()}.tmp")
            try:
                self._store.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_text(json.dumps(self._table, indent=0, sort_keys=True), encoding="utf-8")
                os.replace(temporary, self._store)
                self._unwritten = 0
            except OSError as error:
                log.warning("the table of model hashes cannot be written to %s: %s", self._store, error)

    def _loaded(self) -> dict[str, Row]:
        with self._lock:
            if self._table is None:
                self._table = self._read()
            return self._table

    def _read(self) -> dict[str, Row]:
        try:
            table = json.loads(self._store.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("the table of model hashes in %s cannot be read and is begun anew: %s", self._store, error)
            return {}
        rows = table.items() if isinstance(table, dict) else ()
        return {key: row for key, row in rows if isinstance(row, list) and len(row) == 5}

    def _learn(self, learned: Mapping[str, Row]) -> None:
        with self._lock:
            self._table = {**(self._table if self._table is not None else self._read()), **learned}
            self._unwritten += len(learned)
            self.revision += 1


def read_hashes(path: Path, pause: Callable[[], None] | None = None) -> FileHashes:
    """All hashes of ``path`` in one reading; ``pause`` as in ``HashStore.file``. Raises OSError."""
    whole, tensors, old = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as stream:
        first = stream.read(8) if path.suffix.lower() == ".safetensors" else b""
        begin = 8 + int.from_bytes(first, "little") if len(first) == 8 else None
        stream.seek(0)
        place = 0
        while chunk := stream.read(CHUNK_BYTES):
            whole.update(chunk)
            if begin is not None and place + len(chunk) > begin:
                tensors.update(memoryview(chunk)[max(0, begin - place) :])
            if place <= _OLD_PLACE < place + len(chunk):  # CHUNK_BYTES is a multiple of both
                old.update(memoryview(chunk)[_OLD_PLACE - place : _OLD_PLACE - place + _OLD_BYTES])
            place += len(chunk)
            if pause is not None:
                pause()
    return FileHashes(
        whole.hexdigest(),
        tensors.hexdigest() if begin is not None else "",
        old.hexdigest()[:8] if place > _OLD_PLACE else "",
    )


def _stamp(path: Path) -> tuple[str, Row]:
    stat = path.stat()
    return os.path.realpath(path), [stat.st_size, stat.st_mtime_ns]


def _combined(paths: list[Path], digests: list[str]) -> str:
    if len(digests) == 1:
        return digests[0]
    if not digests:
        return ""
    lines = [f"{path.parent.name}/{path.name} {digest}\n" for path, digest in zip(paths, digests, strict=True)]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
