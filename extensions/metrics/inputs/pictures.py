"""What a set of pictures is to whoever reads it, and the reading of files: decoded in several threads, in order."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, Protocol

from PIL import Image

from webui.api import JobFailed

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".ppm")
MAX_PIXELS = 200_000_000
MAX_FILE_BYTES = 512 * 2**20

Prepare = Callable[[Image.Image], Any]


class PictureSet(Protocol):
    """Pictures in a fixed order, each by its number."""

    title: str
    """As the person named it."""
    identity: str
    """Equal where the pictures are; empty where that cannot be known before they are made."""
    file_format: str
    """Of the files, since JPEG moves scores: ``png``, or ``jpeg 60%, png 40%``."""
    runs_pipelines: bool
    """Whether reading it runs other pipelines: no lease may be held meanwhile."""

    def __len__(self) -> int: ...
    def name(self, index: int) -> str: ...
    def picture(self, index: int) -> Image.Image:
        """RGB."""

    def read(self, start: int, prepare: Prepare) -> Iterator[Any]:
        """``prepare`` of each from ``start`` on, in order."""


def open_picture(source: Path | IO[bytes], name: str) -> Image.Image:
    """RGB, the first frame. Raises JobFailed that names the file. It is not turned by EXIF: no implementation of these
    scores does that.
    """
    try:
        with Image.open(source) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"it has {image.width}x{image.height} pixels, more than {MAX_PIXELS:,}")
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise JobFailed(f"{name} cannot be read as a picture: {error}", hint="Take it out of the set.") from error


class PictureFiles:
    """Files that can be opened in any order, from several threads."""

    runs_pipelines = False

    def __init__(
        self,
        title: str,
        names: Sequence[str],
        open_one: Callable[[int], AbstractContextManager[IO[bytes]]],
        stamp: str,
        threads: int,
        folder: Path | None = None,
    ) -> None:
        """``stamp`` says which state of the files this is; ``folder`` is where they lie, if in one: what else lies
        there may say more of them.
        """
        self.folder = folder
        self.title, self._names, self._open, self._threads = title, names, open_one, threads
        self.identity = hashlib.sha256(f"{stamp}\0".encode() + "\0".join(names).encode("utf-8", "replace")).hexdigest()
        self.file_format = formats(names)

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        return self._names[index]

    def picture(self, index: int) -> Image.Image:
        with self._open(index) as file:
            return open_picture(file, self._names[index])

    def data(self, index: int) -> bytes:
        """The file as it is, of at most ``MAX_FILE_BYTES``: what it says of how it was made."""
        with self._open(index) as file:
            return file.read(MAX_FILE_BYTES)

    def read(self, start: int, prepare: Prepare) -> Iterator[Any]:
        """At most twice as many are in memory as threads decode, beside the one that is handed over."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="decode") as pool:
            waiting: deque[Future[Any]] = deque()
            following = iter(range(start, len(self)))
            try:
                for index in following:
                    waiting.append(pool.submit(lambda at: prepare(self.picture(at)), index))
                    if len(waiting) > 2 * self._threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for left in waiting:
                    left.cancel()


def formats(names: Sequence[str]) -> str:
    """Shares of file formats by ending: ``png``, or ``jpeg 60%, png 40%``."""
    spelled = {"jpg": "jpeg", "tif": "tiff"}
    counts = Counter(spelled.get(ending := name.rpartition(".")[2].lower(), ending) for name in names)
    if len(counts) < 2:
        return next(iter(counts), "none")
    return ", ".join(f"{ending} {count / len(names):.0%}" for ending, count in counts.most_common())
