"""From a pipeline's artifact to a file that is complete and on disk before anyone is told of it, and back from files
to records.

The worker writes through ``LibraryFiles``; the web process reads through it. Files are the truth: the index is made
from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from webui.core.errors import Conflict, NotFound
from webui.core.guests import folder_of_guest, is_guest
from webui.core.jobs import ArtifactRecord, Job
from webui.core.recipes import Recipe
from webui.core.specs import Artifact

from . import infotext, metadata
from .disk import copy, flush, flush_folder, hash_file, is_orphan, rename_or_copy, write_new
from .encode import SUFFIX, ImageFormat, write_image
from .naming import (
    SIDECAR_SUFFIX,
    TEMPORARY_DIR,
    TRASH_DIR,
    FileName,
    check_job_id,
    folder_of,
    inside,
    media_type,
    safe_ending,
    stamp,
)
from .sidecar import read_sidecar, sidecar_json, sidecar_of, table_or_json, wrong_data

_IMAGE_ENDINGS = frozenset({"png", "jpg", "jpeg", "webp"})
_MARKED_KINDS = frozenset({"image", "video", "audio", "file"})
_QUEUE_DAYS_S = 7 * 86_400.0


Mark = Callable[[Path, str], None]
"""(a finished file that has no name yet, its media type): may rewrite it."""


@dataclass(frozen=True)
class Described:
    """What a file says of itself."""

    record: ArtifactRecord
    recipe: Recipe | None
    params: Mapping[str, Any] = field(default_factory=dict)
    """What a picture without a recipe of ours says of how it was made, in our names."""


@dataclass(frozen=True)
class Found:
    """A file met by ``scan``. ``path`` is as in records, without the trash's folder."""

    path: str
    trashed: bool
    size_bytes: int
    mtime_ns: int


class LibraryFiles:
    """The folder of what was made: one folder a day, the same below ``guests/<name>/`` for each guest, ``.trash`` for
    what was deleted, ``.tmp`` for what is being written.
    """

    def __init__(self, root: Path, image_format: ImageFormat = "png", quality: int = 95) -> None:
        self.root = Path(root).resolve()
        self.image_format: ImageFormat = image_format
        self.quality = quality

    def save(self, artifact: Artifact, job: Job, recipe: Recipe, mark: Mark | None = None) -> ArtifactRecord:
        """Write ``artifact`` of ``job``: all or nothing. An earlier file of the same job and index is replaced.

        ``data`` by kind: see ``Artifact``. A finished file is moved. ``mark`` may rewrite a picture, video, audio or
        file before it gets its name; what it raises is passed on, and nothing is kept. Raises JobFailed for data of
        another type, OSError where the disk fails.
        """
        recipe_json = infotext.clean_text(recipe.to_json())
        size: tuple[int, int] | None = None
        if artifact.kind == "image":
            ending = SUFFIX[self.image_format]
            data, size = self._encode(artifact, recipe, recipe_json)
            temporary, digest = self._write_temporary(data)
        elif artifact.kind in ("video", "audio", "file"):
            ending = safe_ending(str(artifact.data))
            temporary, digest = self._take_file(artifact)
        else:
            data, ending = table_or_json(artifact)
            temporary, digest = self._write_temporary(data)
        if mark is not None and artifact.kind in _MARKED_KINDS:
            digest = self._mark(temporary, media_type(ending), mark, digest)
        name = FileName(stamp(job.created_at), artifact.seed, check_job_id(job.id), artifact.index, ending)
        target = self._folder(job) / folder_of(job.created_at) / str(name)
        size_bytes = temporary.stat().st_size
        self._put(temporary, target, "" if size else sidecar_json(artifact, recipe_json))
        if job.attempts > 1:  # a first attempt has nothing to replace, and big folders take time to list
            self._remove_earlier(job, artifact.index, target)
        return ArtifactRecord(
            id=name.artifact_id,
            job_id=job.id,
            index=artifact.index,
            kind=artifact.kind,
            path=target.relative_to(self.root).as_posix(),
            media_type=media_type(ending),
            size_bytes=size_bytes,
            sha256=digest,
            pipeline=recipe.pipeline,
            title=artifact.title,
            seed=artifact.seed,
            width=size[0] if size else None,
            height=size[1] if size else None,
        )

    def adopt(self, source: Path, relative: str, modified: float, *, link: bool = False) -> None:
        """Give a picture that another program made a place here, its bytes as they are. What lies there is replaced.

        ``modified`` is the time its file gets, in s since 1970; ``link`` shares the file on disk where that can be, and
        its time with it. Raises OSError, NotFound for a path that leads out of the library.
        """
        target = self.path(relative)
        temporary = self._temporary()
        linked = False
        if link:
            with contextlib.suppress(OSError):
                os.link(source, temporary)
                linked = True
        if not linked:
            copy(source, temporary)
            os.utime(temporary, (modified, modified))
            with temporary.open("rb+") as file:
                flush(file)
        self._put(temporary, target, "")

    def find_job(self, job: Job) -> list[ArtifactRecord]:
        """What is on disk of ``job``, in the order of its indices, from the files alone. A file that is cut short does
        not count.
        """
        records: dict[int, ArtifactRecord] = {}
        for path in self._of_job(job):
            described = self.describe(path.relative_to(self.root).as_posix())
            if described is not None:
                records[described.record.index] = described.record
        return [records[index] for index in sorted(records)]

    def path_of(self, record: ArtifactRecord, trashed: bool = False) -> Path:
        """Where the file of ``record`` is, or would be in the trash. Raises NotFound for a path that leads out of the
        library.
        """
        return self.path(record.path, trashed)

    def path(self, relative: str, trashed: bool = False) -> Path:
        """As ``path_of``, of a record's path."""
        path = inside(self.root, relative)
        return inside(self.root, f"{TRASH_DIR}/{relative}") if trashed else path

    def describe(self, relative: str, trashed: bool = False) -> Described | None:
        """Record and recipe of a file; None for one that is missing, cut short, or not ours: neither named by us nor
        holding our recipe.
        """
        path = self.path(relative, trashed)
        name = FileName.parse(path.name)
        ending = path.suffix.lower().lstrip(".")
        try:
            stat = path.stat()
            if not stat.st_size:
                return None
            if ending in _IMAGE_ENDINGS and not sidecar_of(path).exists():
                return self._describe_image(path, relative, name, stat)
            if name is None:
                return None
            return self._describe_other(path, relative, name, stat)
        except OSError:
            return None

    def scan(self) -> Iterator[Found]:
        """Every file that may be an artifact, in no order; sidecars and what begins with a dot are passed over."""
        for folder, trashed in ((self.root, False), (self.root / TRASH_DIR, True)):
            if folder.is_dir():
                yield from self._scan(folder, "", trashed=trashed)

    def trash(self, record: ArtifactRecord) -> None:
        """Move a file into the trash. Raises NotFound."""
        self._move(self.path_of(record), self.path_of(record, trashed=True))

    def restore(self, record: ArtifactRecord) -> None:
        """Move a file back from the trash. Raises NotFound, and Conflict where it was made again since."""
        target = self.path_of(record)
        if target.exists():
            raise Conflict(f"{record.path} was made again since it was deleted.", hint="Delete the newer one first.")
        self._move(self.path_of(record, trashed=True), target)

    def purge(self, record: ArtifactRecord) -> None:
        """Remove a file from the trash for good; nothing where it is gone already."""
        _remove(self.path_of(record, trashed=True))

    def sweep(self) -> int:
        """Remove what writers that no longer run have left half written; how many files. Called once at start."""
        removed = 0
        with contextlib.suppress(FileNotFoundError):
            for entry in list(os.scandir(self.root / TEMPORARY_DIR)):
                with contextlib.suppress(OSError):
                    if is_orphan(entry):
                        os.unlink(entry.path)
                        removed += 1
        return removed

    def _remove_earlier(self, job: Job, index: int, kept: Path) -> None:
        """Remove files of the same artifact under other names: an earlier attempt may have had another format or
        seed.
        """
        for path in self._of_job(job):
            name = FileName.parse(path.name)
            if name is not None and name.index == index and path != kept:
                _remove(path)

    def _of_job(self, job: Job) -> list[Path]:
        """Files of a job. The days beside its own are looked at too: the clock's zone may have changed since an
        earlier attempt.
        """
        needle = f"_{check_job_id(job.id)}_"
        paths = []
        for shift in (-1, 0, 1):
            folder = self._folder(job) / folder_of(job.created_at, shift)
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                paths += [folder / name for name in os.listdir(folder) if needle in name]
        return sorted(path for path in paths if (name := FileName.parse(path.name)) and name.job_id == job.id)

    def _folder(self, job: Job) -> Path:
        """Where the days of the job's owner are: a guest's lie apart, and whose a file is, is read from its path."""
        return inside(self.root, folder_of_guest(job.owner)) if is_guest(job.owner) else self.root

    def _scan(self, folder: Path, prefix: str, *, trashed: bool) -> Iterator[Found]:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda one: one.name):
                if entry.name.startswith(".") or entry.is_symlink():
                    continue
                if entry.is_dir():
                    yield from self._scan(folder / entry.name, f"{prefix}{entry.name}/", trashed=trashed)
                elif not entry.name.endswith(SIDECAR_SUFFIX):
                    stat = entry.stat()
                    yield Found(f"{prefix}{entry.name}", trashed, stat.st_size, stat.st_mtime_ns)

    def _describe_image(
        self, path: Path, relative: str, name: FileName | None, stat: os.stat_result
    ) -> Described | None:
        meta = metadata.read(path)
        if not meta.whole or not meta.format or (name is None and meta.recipe is None):
            return None
        digest = hash_file(path)
        recipe = meta.recipe
        job_id, index = (
            (name.job_id, name.index) if name else (digest[:16], 0)
        )  # renamed by its owner: known by its bytes from now on
        seed = name.seed if name else recipe.seed if recipe else None
        record = ArtifactRecord(
            id=f"{job_id}-{index}",
            job_id=job_id,
            index=index,
            kind="image",
            path=relative,
            media_type=Image.MIME.get(meta.format, "application/octet-stream"),
            size_bytes=stat.st_size,
            sha256=digest,
            pipeline=meta.pipeline,
            title=meta.chunks.get("Title") or meta.chunks.get("ImageDescription", ""),
            seed=seed,
            width=meta.width,
            height=meta.height,
            created_at=_created(name, stat.st_mtime),
        )
        return Described(record, recipe, {} if recipe else meta.params)

    def _describe_other(self, path: Path, relative: str, name: FileName, stat: os.stat_result) -> Described:
        kind, title, recipe = read_sidecar(path)
        record = ArtifactRecord(
            id=name.artifact_id,
            job_id=name.job_id,
            index=name.index,
            kind=kind,
            path=relative,
            media_type=media_type(name.ending),
            size_bytes=stat.st_size,
            sha256=hash_file(path),
            pipeline=recipe.pipeline if recipe else "",
            title=title,
            seed=name.seed,
            created_at=_created(name, stat.st_mtime),
        )
        return Described(record, recipe)

    def _encode(self, artifact: Artifact, recipe: Recipe, recipe_json: str) -> tuple[bytes, tuple[int, int]]:
        if not isinstance(artifact.data, Image.Image):
            raise wrong_data(artifact, "a PIL image")
        width, height = artifact.data.size
        text = infotext.from_recipe(recipe, width=width, height=height, extra=artifact.infotext)
        target = io.BytesIO()
        title = infotext.clean_text(artifact.title)
        size = write_image(
            target,
            artifact.data,
            self.image_format,
            quality=self.quality,
            recipe=recipe_json,
            infotext=text,
            title=title,
        )
        return target.getvalue(), size

    def _temporary(self) -> Path:
        folder = self.root / TEMPORARY_DIR
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{os.getpid()}-{secrets.token_hex(8)}"

    def _write_temporary(self, data: bytes) -> tuple[Path, str]:
        temporary = self._temporary()
        write_new(temporary, data)
        return temporary, hashlib.sha256(data).hexdigest()

    @staticmethod
    def _mark(temporary: Path, media: str, mark: Mark, digest: str) -> str:
        """The digest of the file after ``mark``."""
        before = temporary.stat()
        try:
            mark(temporary, media)
            after = temporary.stat()
            if (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
                return digest
            with temporary.open("rb+") as file:
                flush(file)
            return hash_file(temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _take_file(self, artifact: Artifact) -> tuple[Path, str]:
        """Move a pipeline's finished file to a temporary name here; copied where it lies on another file system or is
        a link.
        """
        source = Path(artifact.data) if isinstance(artifact.data, str | os.PathLike) else None
        if source is None or not source.is_file():
            raise wrong_data(artifact, "the path of a finished file")
        temporary = self._temporary()
        if source.is_symlink():
            copy(source, temporary)
        else:
            rename_or_copy(source, temporary)
        os.chmod(
            temporary, temporary.stat().st_mode | 0o600
        )  # it must be possible to write it out and, one day, to delete it
        with temporary.open("rb+") as file:
            flush(file)
        return temporary, hash_file(temporary)

    def _put(self, temporary: Path, target: Path, sidecar: str) -> None:
        """Give a finished temporary file its name. Its sidecar comes first: whoever sees the file sees the sidecar
        too.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if sidecar:
            beside, _ = self._write_temporary(sidecar.encode("utf-8"))
            os.replace(beside, sidecar_of(target))
        os.replace(temporary, target)
        flush_folder(target.parent)

    def _move(self, source: Path, target: Path) -> None:
        if not source.is_file():
            raise NotFound(
                f"the file {source.name} is gone.", hint="Run `library rebuild` to bring the index up to date."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = sidecar_of(source)
        if beside.exists():
            os.replace(beside, sidecar_of(target))
        os.replace(source, target)


def _created(name: FileName | None, mtime: float) -> float:
    """When it was made: the file's time, unless that is far from the time in its name, as after a copy that did not
    keep times.
    """
    said = name.timestamp if name else None
    return mtime if said is None or -1.0 <= mtime - said <= _QUEUE_DAYS_S else said


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    sidecar_of(path).unlink(missing_ok=True)
