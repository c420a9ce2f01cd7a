"""Artifacts as a zip that is made while it is read: no file of it is ever on disk, and no picture wholly in memory.

Pictures are stored as they are (they are packed already), under the names that they have in the library; beside them
``marks.json``, with what a person said of each.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from webui.core.errors import NotFound

from .library import Library
from .rows import Item
from .sidecar import sidecar_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK_BYTES = 2**18


class _Outlet(io.RawIOBase):
    """What ``zipfile`` writes to: a stream that cannot be wound back, whose bytes are taken out again and again."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self._held += data
        return len(memoryview(data))

    def take(self) -> bytes:
        taken = bytes(self._held)
        self._held.clear()
        return taken


def stream(library: Library, items: Iterable[Item]) -> Iterator[bytes]:
    """The bytes of the zip. A file that is gone is left out."""
    outlet = _Outlet()
    marks: dict[str, object] = {}
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_STORED) as archive:
        for item in items:
            try:
                path = library.path(item.id)
                sources = [(path, item.record.path)]
                if (beside := sidecar_of(path)).is_file():
                    sources.append((beside, item.record.path + beside.name.removeprefix(path.name)))
                for source, name in sources:
                    with source.open("rb") as file, archive.open(_entry(name, item, source), "w") as target:
                        while chunk := file.read(_CHUNK_BYTES):
                            target.write(chunk)
                            yield outlet.take()
            except (NotFound, OSError):
                continue
            said: dict[str, object] = {"favourite": item.favourite, "rating": item.marks.rating}
            said |= {"tags": item.marks.tags, "collections": item.marks.collections}
            if any(said.values()):
                marks[item.record.path] = {key: value for key, value in said.items() if value}
        if marks:
            archive.writestr("marks.json", json.dumps(marks, ensure_ascii=False, indent=1))
    yield outlet.take()


def _entry(name: str, item: Item, source: Path) -> zipfile.ZipInfo:
    """Zip knows no time before 1980. The size is told at once: a large file needs longer fields for it."""
    entry = zipfile.ZipInfo(name, time.localtime(max(item.record.created_at, 315_619_200.0))[:6])
    entry.file_size = source.stat().st_size
    return entry
