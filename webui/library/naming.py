"""Names of the library's files: ``<date>/<date>-<time>_<seed>_<job id>_<index>.<ending>``, from which an artifact's
identity is read back.

Date and time are local and those of the job, not of the moment of writing: an artifact that is made again gets the
same name and replaces itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from webui.core.errors import JobFailed, NotFound

SIDECAR_SUFFIX = ".recipe.json"
TEMPORARY_DIR, TRASH_DIR = ".tmp", ".trash"

_JOB_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NAME = re.compile(
    r"(?P<time>\d{8}-\d{6})_(?P<seed>-?\d{1,20}|none)_(?P<job>[0-9A-Za-z-]{1,64})_(?P<index>\d{4,9})\.(?P<ending>[0-9a-z]{1,12})",
    re.ASCII,
)
ARTIFACT_ID = re.compile(r"[0-9A-Za-z-]{1,64}-[0-9]{1,9}", re.ASCII)

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "mov": "video/quicktime",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "csv": "text/csv",
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "zip": "application/zip",
}
"""By ending; anything else is application/octet-stream, so that no browser runs what a pipeline made."""


@dataclass(frozen=True)
class FileName:
    """What a file's name says."""

    time: str
    seed: int | None
    job_id: str
    index: int
    ending: str

    @staticmethod
    def parse(name: str) -> FileName | None:
        """None for a name of another form."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        seed = None if found["seed"] == "none" else int(found["seed"])
        return FileName(found["time"], seed, found["job"], int(found["index"]), found["ending"])

    def __str__(self) -> str:
        seed = "none" if self.seed is None else self.seed
        return f"{self.time}_{seed}_{self.job_id}_{self.index:04d}.{self.ending}"

    @property
    def artifact_id(self) -> str:
        return f"{self.job_id}-{self.index}"

    @property
    def timestamp(self) -> float | None:
        """Seconds since 1970 of the job's creation, to the second; None where the digits are no date."""
        try:
            return datetime.strptime(self.time, "%Y%m%d-%H%M%S").timestamp()
        except (ValueError, OverflowError, OSError):
            return None


def stamp(seconds: float) -> str:
    """Local date and time as they stand in a name."""
    return datetime.fromtimestamp(seconds).strftime("%Y%m%d-%H%M%S")


def folder_of(seconds: float, shift_days: int = 0) -> str:
    """The folder of a local date, ``YYYY-MM-DD``."""
    return (datetime.fromtimestamp(seconds) + timedelta(days=shift_days)).strftime("%Y-%m-%d")


def check_job_id(job_id: str) -> str:
    """``job_id`` if it may stand in a file's name. Raises JobFailed."""
    if not _JOB_ID.fullmatch(job_id):
        raise JobFailed(f"job id {job_id!r} cannot be part of a file name: expected up to 64 letters, digits and '-'.")
    return job_id


def media_type(ending: str) -> str:
    return MEDIA_TYPES.get(ending, "application/octet-stream")


def safe_ending(name: str) -> str:
    """The ending of a file's name without its dot, or ``bin`` where it has none that is safe."""
    ending = Path(name).suffix.lower().lstrip(".")
    return ending if re.fullmatch(r"[0-9a-z]{1,12}", ending, re.ASCII) else "bin"


def inside(root: Path, relative: str) -> Path:
    """The path ``relative`` below ``root``, which must be resolved. Raises NotFound for whatever leads elsewhere,
    links included.
    """
    parts = PurePosixPath(relative).parts
    if (
        not parts
        or "\\" in relative
        or "\0" in relative
        or ":" in parts[0]
        or relative.startswith("/")
        or ".." in parts
    ):
        raise NotFound(f"{relative!r} is no path in the library.")
    path = root.joinpath(*parts)
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise NotFound(f"{relative!r} is no path in the library.") from None
    if not real.is_relative_to(root):
        raise NotFound(f"{relative!r} leads out of the library.")
    return path
