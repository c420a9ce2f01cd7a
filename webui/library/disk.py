"""Below everything that writes files here: bytes that are on the disk before their name is."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import IO

_ORPHAN_S = 86_400.0


def write_new(path: Path, data: bytes) -> None:
    """Write ``data`` to a file that must not exist, onto the disk itself. Nothing is left behind by an error; raises
    OSError.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
            flush(file)
    except FileExistsError:
        raise
    except OSError:
        path.unlink(missing_ok=True)
        raise


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make a new name last through a power cut, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as write:
        shutil.copyfileobj(read, write, 2**20)


def rename_or_copy(source: Path, target: Path) -> None:
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        copy(source, target)
        source.unlink()


def is_orphan(entry: os.DirEntry[str]) -> bool:
    """Whether the process that a temporary name begins with has ended, or the file is a day old."""
    if time.time() - entry.stat().st_mtime > _ORPHAN_S:
        return True
    writer = entry.name.partition("-")[0]
    if os.name != "posix" or not writer.isdigit() or int(writer) == os.getpid():
        return False
    try:
        os.kill(int(writer), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
