"""How much memory a computation takes beside the weights: formulas to begin with, then what was measured."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from webui.core.specs import Work

_MIB = 2**20
_FACTORS = {"sd1": 1.0, "sd2": 1.0, "sdxl": 0.8, "flux": 3.1}
_OTHER_FACTOR = 1.5
_DECODE_BYTES_PER_LATENT = 2178 * 64
_LATENT_PX = 8
_SURE, _KEPT = 3, 50
"""Measurements of one kind of work from which they are trusted, and how many of the newest are kept."""
_PERCENTILE, _MARGIN = 0.95, 1.1

log = logging.getLogger(__name__)


def formula(work: Work, dtype_bytes: int) -> int:
    """Bytes that ``work`` takes, from the constants that ComfyUI found: denoiser B h w dtype 0.01 factor MiB, VAE
    2178 h w 64 dtype, with h and w in latents of 8 px. The batch counts twice where guidance computes two.
    """
    latents = math.ceil(work.width / _LATENT_PX) * math.ceil(work.height / _LATENT_PX)
    if work.operation in ("decode", "encode"):
        return _DECODE_BYTES_PER_LATENT * latents * dtype_bytes  # pictures are decoded one by one
    if work.operation == "denoise":
        factor = _FACTORS.get(work.architecture, _OTHER_FACTOR)
        return int(2 * work.batch * latents * dtype_bytes * 0.01 * factor * _MIB)
    return 64 * _MIB if work.operation == "text" else 0


class WorkEstimates:
    """Learns per device and library versions, and keeps what it learned in a file. May be used by several threads."""

    def __init__(self, path: Path | None = None) -> None:
        """``path``: None keeps nothing. A file that cannot be read is as none."""
        self._path = path
        self._lock = threading.Lock()
        # Guards the measurements and the file.
        self._measured: dict[str, list[int]] = _read(path) if path is not None else {}
        self._raised: dict[str, int] = {}

    def estimate(self, work: Work | None, dtype_bytes: int) -> int:
        """The 95th percentile of what was measured, times 1.1; the formula where nothing was. Never less than what
        has run out of memory asks for.
        """
        if work is None:
            return 0
        name = _name(work, dtype_bytes)
        with self._lock:
            seen = sorted(self._measured.get(name, ()))
            raised = self._raised.get(name, 0)
        if not seen:
            return max(formula(work, dtype_bytes), raised)
        return max(int(seen[math.ceil(_PERCENTILE * len(seen)) - 1] * _MARGIN), raised)

    def unsure(self, work: Work, dtype_bytes: int) -> bool:
        """Whether too few runs of ``work`` were measured for a percentile to mean much."""
        with self._lock:
            return len(self._measured.get(_name(work, dtype_bytes), ())) < _SURE

    def learn(self, work: Work, dtype_bytes: int, peak_bytes: int) -> None:
        """``work`` took ``peak_bytes`` at most. A run that went through sets the estimate right again."""
        if peak_bytes <= 0:
            return
        name = _name(work, dtype_bytes)
        with self._lock:
            self._raised.pop(name, None)
            known = self._measured.get(name, [])
            self._measured[name] = [*known, int(peak_bytes)][-_KEPT:]
            if self._path is not None:
                _write(self._path, self._measured)

    def raise_(self, work: Work, dtype_bytes: int) -> None:
        """``work`` ran out of memory with the present estimate: ask for a quarter more, until it went through."""
        higher = max(64 * _MIB, int(self.estimate(work, dtype_bytes) * 1.25))
        with self._lock:
            self._raised[_name(work, dtype_bytes)] = higher


def estimates_path(folder: Path, device: str, versions: Mapping[str, str]) -> Path:
    """The file of what was learned on ``device`` with these versions of the libraries that allocate."""
    parts = [device, *(f"{name}-{versions[name]}" for name in ("torch", "diffusers") if name in versions)]
    name = "_".join("".join(c if c.isalnum() or c in ".-" else "-" for c in part) for part in parts)
    return folder / "memory" / f"{name}.json"


def _name(work: Work, dtype_bytes: int) -> str:
    return f"{work.operation}/{work.architecture}/{work.width}x{work.height}x{work.batch}/{dtype_bytes}"


def _read(path: Path) -> dict[str, list[int]]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [int(size) for size in sizes][-_KEPT:] for name, sizes in body.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _write(path: Path, measured: Mapping[str, list[int]]) -> None:
    """Whole or not at all."""
    half = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(json.dumps(measured), encoding="utf-8")
        os.replace(half, path)
    except OSError as error:
        log.warning("what was learned of memory use cannot be kept in %s: %s", path, error)
