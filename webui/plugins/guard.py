"""Remembers which extension was being imported, so that one that ends or hangs the process is left out of the next
start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StartGuard:
    """Keeps one small file. ``path`` None: guards nothing. ``marks``: whether imports are marked, or only those left
    out that an earlier start was marked with.
    """

    def __init__(self, path: Path | None, *, marks: bool = True) -> None:
        self._path = path
        self._marks = marks
        self._culprits: tuple[str, ...] = self._read()

    @property
    def culprits(self) -> tuple[str, ...]:
        """Extensions whose import began at an earlier start and never ended."""
        return self._culprits

    @contextmanager
    def importing(self, extension_id: str) -> Iterator[None]:
        """Around an import. A raised error is an end; a kill or an interrupt is not, and leaves the mark."""
        if not self._marks:
            yield
            return
        self._write((*self._culprits, extension_id))
        try:
            yield
        except (Exception, SystemExit):
            self._write(self._culprits)
            raise
        self._write(self._culprits)

    def forgive(self, extension_id: str) -> None:
        """Let an extension be tried again."""
        self._culprits = tuple(one for one in self._culprits if one != extension_id)
        self._write(self._culprits)

    def _read(self) -> tuple[str, ...]:
        if self._path is None or not self._path.exists():
            return ()
        try:
            names = json.loads(self._path.read_text(encoding="utf-8"))
            return tuple(dict.fromkeys(str(name) for name in names))
        except (OSError, ValueError, TypeError):
            return ()  # a torn mark accuses nobody

    def _write(self, names: tuple[str, ...]) -> None:
        if self._path is None:
            return
        if not names:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        temporary.write_text(json.dumps(names), encoding="utf-8")
        os.replace(temporary, self._path)
