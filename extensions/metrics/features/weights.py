"""Finds the weights of a feature network: a file of the models folders, one that was named, or one of a hub."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from webui.api import LifelikeError, ModelError, Models

FOLDER = "features"
"""Below a models folder."""
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Marks:
    """What a network's weights are known by."""

    title: str
    tensors: Mapping[str, tuple[int, ...]]
    """Name -> shape; 0 is any length."""
    advice: str
    """Which file serves, and where it is had."""

    def fit(self, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
        """The prefix under which a file with these tensors has the network; None where it has none."""
        first = next(iter(self.tensors))
        for name in shapes:
            prefix = name[: -len(first)]
            if name.endswith(first) and all(_alike(shapes.get(prefix + n), s) for n, s in self.tensors.items()):
                return prefix
        return None


def _alike(shape: Sequence[int] | None, wanted: Sequence[int]) -> bool:
    return (
        shape is not None and len(shape) == len(wanted) and all(w in (0, s) for s, w in zip(shape, wanted, strict=True))
    )


def find(models: Models, marks: Marks, ref: str = "") -> Path:
    """The file that ``ref`` names; empty: the first in ``models/features`` that is one. A hub id is fetched: only a
    person can have asked for it. Raises ModelError, NotFound.
    """
    if ref:
        path = path_of(models, ref)
        if marks.fit(models.shapes(path)) is None:
            raise ModelError(f"{path.name} holds no weights of {marks.title}.", hint=marks.advice)
        return path
    for one in models.listed():
        path = one.path
        if path is None or FOLDER not in path.parent.parts or not path.is_file():
            continue
        if marks.fit(models.shapes(path)) is not None:
            return path
    raise ModelError(f"the weights of {marks.title} are not on this machine.", hint=marks.advice)


def path_of(models: Models, ref: str) -> Path:
    """The file of weights behind a reference; a hub id is fetched. Raises ModelError, NotFound."""
    try:
        found = models.resolve(ref)
    except ModelError:
        # A file that may be named, and that the catalog knows no kind for: its tensors tell. What may not be named is
        # not found.
        path = Path(ref).expanduser()
        if not path.is_file():
            raise
        return path
    path = found.path or _fetched(found.ref)
    return path if path.is_file() else _weights_in(path)


def load(models: Models, marks: Marks, path: Path) -> dict[str, object]:
    """Name -> tensor of the network in ``path``, prefix taken off. Nothing of the file is run. Raises ModelError."""
    prefix = marks.fit(models.shapes(path)) or ""
    return {name.removeprefix(prefix): value for name, value in models.open_weights(path, (prefix,)).items()}


@functools.lru_cache(maxsize=64)
def _sha256(path: str, size_bytes: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(2**20):
            digest.update(part)
    return digest.hexdigest()


def sha256(path: Path) -> str:
    """Of the file; it is read once as long as it stays as it is."""
    stat = path.stat()
    return _sha256(str(path.resolve()), stat.st_size, stat.st_mtime_ns)


def _fetched(repository: str) -> Path:
    """The weights of a hub id: one file, safetensors before others. Raises ModelError."""
    from huggingface_hub import hf_hub_download, list_repo_files

    name, _, revision = repository.partition("@")
    try:
        files = list_repo_files(name, revision=revision or None)
        wanted = [f for ending in _ENDINGS for f in sorted(files) if f.endswith(ending) and "/" not in f]
        if not wanted:
            raise ModelError(f"{repository} has no weights among its files.")
        return Path(hf_hub_download(name, wanted[0], revision=revision or None))
    except LifelikeError:
        raise
    except Exception as error:  # the hub's client raises errors of the library beneath it
        said = " ".join(str(error).split())[:300]
        raise ModelError(f"{repository} cannot be fetched: {said}", hint="Name a file instead.") from error


def _weights_in(folder: Path) -> Path:
    """The weights of a folder as transformers writes it."""
    for ending in _ENDINGS:
        for path in sorted(folder.glob(f"*{ending}")):
            return path
    raise ModelError(f"{folder.name} holds no weights.")
