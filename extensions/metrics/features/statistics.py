"""Mean and covariance of a set in the file that other programs keep theirs in: .npz with ``mu`` and ``sigma``."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from extensions.metrics.sets.frechet import Moments
from webui.api import JobFailed

_MAX_BYTES = 2 * 2**30
_MAX_DIM = 16_384


def write(path: Path, moments: Moments) -> None:
    """As pytorch-fid, clean-fid and torch-fidelity read it; ``n`` beside, which they pass over."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, mu=moments.mean, sigma=moments.covariance, n=np.int64(moments.count))
    os.replace(temporary, path)


def read(path: Path) -> Moments:
    """Raises JobFailed for what is no such file. ``n`` is 0 where the file does not say it. Nothing of it is run."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES >> 30} GiB")
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > _MAX_BYTES:
                raise ValueError(f"it unpacks to more than {_MAX_BYTES >> 30} GiB")
        with np.load(path, allow_pickle=False) as file:
            mean = np.asarray(file["mu"], np.float64).reshape(-1)
            covariance = np.asarray(file["sigma"], np.float64)
            count = int(file["n"]) if "n" in file.files else 0
        if covariance.shape != (len(mean),) * 2 or len(mean) > _MAX_DIM:
            raise ValueError(f"mu has {len(mean)} values and sigma {'x'.join(map(str, covariance.shape))}")
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise ValueError("it holds values that are not finite")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise JobFailed(
            f"{path.name} is no file of statistics: {error}",
            hint="Expected an .npz with mu [D] and sigma [D,D], as pytorch-fid and clean-fid write it.",
        ) from error
    return Moments(mean, covariance, count)
