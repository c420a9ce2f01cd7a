"""Small copies of the library's pictures for galleries, made on the first request and kept in the cache folder."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path

from PIL import Image

from webui.core.errors import NotFound
from webui.core.jobs import ArtifactRecord
from webui.library.pixels import Unreadable, decode, open_header

SIDES_PX = (64, 128, 256, 512, 1024)
"""The sizes on offer: a fixed few, so that nobody fills the disk with one for each number."""
MAX_PIXELS = 400_000_000
"""Our own pictures may be larger than those that are let in: an upscaler made them."""
MEDIA_TYPE = "image/webp"


class Thumbnails:
    """Files named by the picture's hash: never stale, and safe to delete at any time.

    ``_turns`` bounds how many are made at once; a gallery asks for a hundred in one go, and each holds a whole picture.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turns = threading.BoundedSemaphore(min(4, os.cpu_count() or 1))

    def path(self, record: ArtifactRecord, source: Path, side_px: int) -> Path:
        """The thumbnail of ``record``, whose file is ``source``: WebP, its longer side at most ``side_px``.

        Raises NotFound for what is no picture, or one that cannot be read.
        """
        target = self._folder / record.sha256[:2] / f"{record.sha256}-{side_px}.webp"
        if target.exists():
            return target
        if record.kind != "image":
            raise NotFound(f"artifact {record.id} is of kind {record.kind}: it has no thumbnail.")
        with self._turns:
            if not target.exists():
                self._make(record, source, target, side_px)
        return target

    def _make(self, record: ArtifactRecord, source: Path, target: Path, side_px: int) -> None:
        try:
            with source.open("rb") as file:
                picture = open_header(file, MAX_PIXELS)
                picture.draft("RGB", (side_px * 2, side_px * 2))  # JPEG: decoded at a fraction of its size
                small = decode(picture)
        except FileNotFoundError:
            raise NotFound(f"the file of artifact {record.id} is gone.") from None
        except Unreadable as error:
            raise NotFound(f"artifact {record.id} has no thumbnail: it {error}.") from None
        small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            small.save(temporary, "WEBP", quality=80)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
