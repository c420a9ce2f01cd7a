"""Sets that lie on this machine: a folder, a zip that is never unpacked, pictures of the gallery."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from webui.api import Context, FieldError, JobFailed, ParameterError

from .pictures import ENDINGS, MAX_FILE_BYTES, PictureFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ENTRIES = 5_000_000


def place_of(ref: str, context: Context, field: str) -> Path:
    """The folder, .zip or .npz that a reference names, where the person may name one. Raises ParameterError."""
    path = Path(ref).expanduser()
    if path.suffix.lower() not in (".zip", ".npz"):
        return _folder(ref, context, field)
    file = _folder(str(path.parent) or ".", context, field) / path.name
    if file.is_symlink() or not file.is_file():
        raise ParameterError([FieldError(field, "there is no such file", repr(ref[:80]))])
    return file


def _folder(ref: str, context: Context, field: str) -> Path:
    try:
        return context.open_folder(ref)
    except ParameterError as error:
        raise ParameterError([FieldError(field, one.message, one.got) for one in error.fields]) from None


def folder_set(folder: Path, title: str, threads: int) -> PictureFiles:
    """Every picture below ``folder``, by name, but for links to elsewhere. Raises JobFailed where there is none."""
    root = folder.resolve()
    found: list[tuple[str, int, int]] = []
    for base, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.lower().endswith(ENDINGS) or name.startswith("."):
                continue
            path = os.path.join(base, name)
            if os.path.islink(path) and not Path(path).resolve().is_relative_to(root):
                continue
            stat = os.stat(path)
            found.append((os.path.relpath(path, root).replace(os.sep, "/"), stat.st_size, stat.st_mtime_ns))
    found.sort()
    if not found:
        raise JobFailed(f"there is no picture in {title}.", hint=f"Expected files that end in {', '.join(ENDINGS)}.")
    names = [name for name, _, _ in found]
    stamp = f"{root}:{hash_of(found)}"
    return PictureFiles(title, names, lambda index: open(root / names[index], "rb"), stamp, threads, folder=root)


def hash_of(rows: Sequence[object]) -> str:
    """Of what the rows say."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(repr(row).encode("utf-8", "replace"))
    return digest.hexdigest()


def zip_set(path: Path, title: str, threads: int) -> PictureFiles:
    """The pictures of a zip, read in place: names in it are labels, and nothing of it becomes a file. A picture is no
    larger than it says, and no larger than ``MAX_FILE_BYTES``. Raises JobFailed.
    """
    try:
        packed = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise JobFailed(f"{title} is no zip: {error}") from error
    entries = [one for one in packed.infolist() if not one.is_dir() and one.filename.lower().endswith(ENDINGS)]
    entries = [one for one in entries if not one.filename.rpartition("/")[2].startswith(".")]
    entries.sort(key=lambda one: one.filename)
    if len(entries) > MAX_ENTRIES:
        raise JobFailed(f"{title} has {len(entries):,} pictures, more than {MAX_ENTRIES:,}.")
    if not entries:
        raise JobFailed(f"there is no picture in {title}.", hint=f"Expected files that end in {', '.join(ENDINGS)}.")

    @contextmanager
    def opened(index: int) -> Iterator[IO[bytes]]:
        entry = entries[index]
        if entry.file_size > MAX_FILE_BYTES:
            raise JobFailed(f"{entry.filename} in {title} unpacks to {entry.file_size:,} bytes.")
        try:
            with packed.open(entry) as file:  # zipfile guards the file below with a lock of its own
                yield file
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise JobFailed(f"{entry.filename} in {title} cannot be unpacked: {error}") from error

    stat = path.stat()
    stamp = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    return PictureFiles(title, [one.filename for one in entries], opened, stamp, threads)


def gallery_set(refs: Sequence[str], title: str, context: Context, threads: int) -> PictureFiles:
    """Pictures by reference (``artifact:...``, ``upload:...``). Raises JobFailed where there is none, NotFound."""
    paths = [context.open_file(ref) for ref in refs]
    kept = [(ref, path) for ref, path in zip(refs, paths, strict=True) if path.suffix.lower() in ENDINGS]
    if not kept:
        raise JobFailed(f"there is no picture in {title}.")
    names = [ref.partition(":")[2] + path.suffix for ref, path in kept]
    stats = [path.stat() for _, path in kept]
    stamp = hash_of([(ref, stat.st_size, stat.st_mtime_ns) for (ref, _), stat in zip(kept, stats, strict=True)])
    return PictureFiles(title, names, lambda index: open(kept[index][1], "rb"), stamp, threads)
