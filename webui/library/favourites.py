"""The list of favourites beside the pictures, so that it outlives the index and travels with the files."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from .naming import ARTIFACT_ID

FILE_NAME = "favourites.json"


class Favourites:
    """The ids in ``<library>/favourites.json``. Written whole to another name, then renamed: it is never half there."""

    def __init__(self, root: Path) -> None:
        self.path = root / FILE_NAME
        self._lock = threading.Lock()
        """Guards reading and writing the file as one; nothing else is taken under it."""

    def read(self) -> set[str]:
        """The favourites' ids; none where there is no file. A file that is damaged is set aside, not overwritten."""
        try:
            body = json.loads(self.path.read_text(encoding="utf-8"))
            return {one for one in body["favourites"] if isinstance(one, str) and ARTIFACT_ID.fullmatch(one)}
        except FileNotFoundError:
            return set()
        except (ValueError, KeyError, TypeError):
            with contextlib.suppress(OSError):
                os.replace(self.path, self.path.with_suffix(".broken.json"))
            return set()

    def change(self, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Add and remove ids, unless nothing would change. Raises OSError where the disk fails."""
        with self._lock:
            before = self.read()
            after = (before | set(add)) - set(remove)
            if after != before:
                self._write(after)

    def _write(self, ids: set[str]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{FILE_NAME}.{os.getpid()}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"favourites": sorted(ids), "format": 1}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)
