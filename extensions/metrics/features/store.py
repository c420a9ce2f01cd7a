"""Features of a set on disk, as far as they were read: float32 rows, appended batch by batch, then read without a copy.

A folder holds ``features.f32``, ``logits.f32`` where the network classifies, and ``about.json``. Rows count only when
all files have them, so that a run that was cut off goes on after the last whole batch.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
_FLOAT_BYTES = 4


def key_of(**said: Any) -> str:
    """The name of a store: a hash of all that decides its bytes."""
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Columns:
    """What a row is: ``dim`` features, then the logits of each head."""

    dim: int
    heads: Mapping[str, int]

    @property
    def logits(self) -> int:
        """How many, of all heads."""
        return sum(self.heads.values())


class FeatureStore:
    """One set as one network saw it."""

    def __init__(self, folder: Path, columns: Columns, batch: int) -> None:
        """What is there is kept as far as it is whole batches of the same columns."""
        self.folder, self.columns = folder, columns
        folder.mkdir(parents=True, exist_ok=True)
        about = {"dim": columns.dim, "heads": dict(columns.heads), "batch": batch}
        self._features, self._logits, self._about = (
            folder / name for name in ("features.f32", "logits.f32", "about.json")
        )
        self._whole: int | None = self._known(about)
        if self._whole is None:
            rows = self._rows_on_disk() if self._said().get("columns") == about else 0
            self._cut(rows // batch * batch)
            self._tell({"columns": about})

    def _said(self) -> Mapping[str, Any]:
        try:
            said = json.loads(self._about.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return said if isinstance(said, dict) else {}

    def _known(self, about: Mapping[str, Any]) -> int | None:
        """How many rows a finished store has; None for one that is not."""
        said = self._said()
        rows = said.get("rows")
        return rows if said.get("columns") == about and isinstance(rows, int) and rows <= self._rows_on_disk() else None

    def _tell(self, said: Mapping[str, Any]) -> None:
        temporary = self._about.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(said), encoding="utf-8")
        os.replace(temporary, self._about)

    def _rows_on_disk(self) -> int:
        counts = [_size(self._features) // (_FLOAT_BYTES * self.columns.dim)]
        if self.columns.logits:
            counts.append(_size(self._logits) // (_FLOAT_BYTES * self.columns.logits))
        return min(counts)

    def _cut(self, rows: int) -> None:
        for path, width in ((self._features, self.columns.dim), (self._logits, self.columns.logits)):
            if width:
                with path.open("ab") as file:
                    file.truncate(rows * width * _FLOAT_BYTES)

    @property
    def rows(self) -> int:
        """How many pictures were read."""
        return self._rows_on_disk() if self._whole is None else self._whole

    @property
    def complete(self) -> bool:
        """Whether all of the set was read."""
        return self._whole is not None

    def append(self, features: Rows, logits: Rows | None) -> None:
        """float32 [n,dim], and [n,logits] where there are heads."""
        with self._features.open("ab") as file:
            np.ascontiguousarray(features, np.float32).tofile(file)
        if logits is not None:
            with self._logits.open("ab") as file:
                np.ascontiguousarray(logits, np.float32).tofile(file)

    def finish(self, said: Mapping[str, Any]) -> None:
        """All rows are there; ``said`` is kept with them."""
        self._whole = self._rows_on_disk()
        self._tell({**self._said(), **said, "rows": self._whole})

    @property
    def said(self) -> Mapping[str, Any]:
        """What ``finish`` was told."""
        return self._said()

    @property
    def features(self) -> Rows:
        """float32 [N,dim], mapped to the file."""
        return _mapped(self._features, self.rows, self.columns.dim)

    def logits(self) -> Sequence[Rows]:
        """float32 [N,values] of each head, mapped to the file."""
        if not self.columns.logits:
            return ()
        table = _mapped(self._logits, self.rows, self.columns.logits)
        ends = np.cumsum(list(self.columns.heads.values()))
        return [table[:, end - width : end] for end, width in zip(ends, self.columns.heads.values(), strict=True)]


def prune(root: Path, limit_bytes: int, used: Sequence[Path]) -> list[Path]:
    """Remove the stores below ``root`` that were used longest ago, until all take at most ``limit_bytes``; which those
    were. ``used`` are noted as used now, and stay.
    """
    for folder in used:
        if (folder / "about.json").is_file():
            os.utime(folder / "about.json")
    stores = [folder for folder in root.iterdir() if folder.is_dir()] if root.is_dir() else []
    sizes = {folder: sum(_size(path) for path in folder.iterdir()) for folder in stores}
    total, gone = sum(sizes.values()), []
    for folder in sorted(stores, key=_last_use):
        if total <= limit_bytes:
            break
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]
            gone.append(folder)
    return gone


def _last_use(folder: Path) -> float:
    about = folder / "about.json"
    return about.stat().st_mtime if about.is_file() else 0.0


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _mapped(path: Path, rows: int, width: int) -> Rows:
    if not rows:
        return np.zeros((0, width), np.float32)
    return np.memmap(path, np.float32, "r", shape=(rows, width))
