"""A model of pristine pictures: what NIQE compares a picture with, and what BRISQUE's features are beside without its
regression. Made from pictures, kept as a small .npz; published parameters (.mat, .npz) are read too.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .brisque import FEATURES, SMALLEST_PX, brisque_features
from .errors import WrongFile
from .patches import patch_features
from .scene_statistics import Array

_MOST_BYTES = 16 * 2**20
_MEAN_NAMES = ("mean", "mu_prisparam", "pop_mu", "mu_pris_param")
_COVARIANCE_NAMES = ("covariance", "cov_prisparam", "pop_cov", "cov_pris_param")
BUNDLED = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Pristine:
    """The Gaussian of NIQE's patch features over pristine pictures, and of BRISQUE's features over their parts."""

    name: str
    """As the protocol of a score names it."""
    patch_px: int
    """The edge of a patch that the features were taken from, and must be taken from in a picture that is scored."""
    mean: Array
    """float64 [36]."""
    covariance: Array
    """float64 [36,36]."""
    pictures: int = 0
    patches: int = 0
    """How many it was made from; 0 where a published file does not say."""
    brisque_mean: Array | None = None
    brisque_deviation: Array | None = None
    """float64 [36] each; None in published files."""

    def brisque_distance(self, rgb: NDArray[np.uint8]) -> float:
        """uint8 [H,W,3] -> how far its BRISQUE features lie from pristine ones: the root mean square over the 36
        features of their distance in standard deviations. No BRISQUE score, which needs the trained regression. NaN for
        a flat picture; raises ValueError for one too small, and where the model has no BRISQUE features.
        """
        if self.brisque_mean is None or self.brisque_deviation is None:
            raise ValueError(f"pristine model {self.name}: it has no BRISQUE features")
        away = (brisque_features(rgb) - self.brisque_mean) / self.brisque_deviation
        return float(np.sqrt((away**2).mean()))


def fit(name: str, pictures: Iterable[NDArray[np.uint8]], *, patch_px: int = 96, overlap: float = 0.5) -> Pristine:
    """A pristine model from uint8 [H,W,3] pictures, as section II of the paper of NIQE: of each picture's patches those
    with more than 0.75 of the sharpness of its sharpest are taken.

    ``overlap``: the share of a patch that the next one covers too. Raises ValueError where too few patches are left for
    a covariance.
    """
    features, parts, count = [], [], 0
    for picture in pictures:
        found = patch_features(picture, patch_px, overlap=overlap)
        features.append(found.features[found.sharpness > 0.75 * found.sharpness.max(initial=0.0)])
        parts += [brisque_features(part) for part in _parts(picture, 2 * patch_px)]
        count += 1
    rows = _finite(np.concatenate(features)) if features else np.empty((0, FEATURES))
    if len(rows) <= FEATURES:
        raise ValueError(
            f"pristine model: {len(rows)} sharp patches of {patch_px} pixels in {count} pictures; its {FEATURES} "
            f"features need more than that, better some hundreds: give more, or larger, pictures"
        )
    whole = _finite(np.array(parts).reshape(-1, FEATURES))
    return Pristine(
        name=name,
        patch_px=patch_px,
        mean=rows.mean(axis=0),
        covariance=np.cov(rows, rowvar=False),
        pictures=count,
        patches=len(rows),
        brisque_mean=whole.mean(axis=0) if len(whole) > 1 else None,
        brisque_deviation=whole.std(axis=0, ddof=1) if len(whole) > 1 else None,
    )


def _parts(picture: NDArray[np.uint8], edge_px: int) -> list[NDArray[np.uint8]]:
    """Square parts side by side; the whole picture where it is smaller."""
    height, width = picture.shape[:2]
    edge_px = max(SMALLEST_PX, min(edge_px, height, width))
    return [
        picture[top : top + edge_px, left : left + edge_px]
        for top in range(0, height - edge_px + 1, edge_px)
        for left in range(0, width - edge_px + 1, edge_px)
    ]


def _finite(rows: Array) -> Array:
    return rows[np.isfinite(rows).all(axis=1)]


def save(model: Pristine, path: Path) -> None:
    """Write ``path`` (.npz) in one piece, the same bytes for the same model. Raises OSError."""
    about = {"name": model.name, "patch_px": model.patch_px, "pictures": model.pictures, "patches": model.patches}
    arrays = {"mean": model.mean, "covariance": model.covariance}
    if model.brisque_mean is not None and model.brisque_deviation is not None:
        arrays |= {"brisque_mean": model.brisque_mean, "brisque_deviation": model.brisque_deviation}
    temporary = path.with_name(path.name + ".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("about.json"), json.dumps(about, sort_keys=True))
        for name, array in arrays.items():
            held = io.BytesIO()
            np.save(held, np.ascontiguousarray(array, np.float64), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), held.getvalue(), zipfile.ZIP_DEFLATED)
    os.replace(temporary, path)


def load(path: Path) -> Pristine:
    """Our .npz, or published parameters of NIQE: a MATLAB file or an .npz with a mean and a covariance, for patches of
    96 pixels. Nothing in it is run. Raises WrongFile, OSError.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise WrongFile(f"{path.name}: larger than {_MOST_BYTES // 2**20} MiB, so no parameters of NIQE")
    arrays, about = _arrays(path)
    mean = next((arrays[name] for name in _MEAN_NAMES if name in arrays), None)
    covariance = next((arrays[name] for name in _COVARIANCE_NAMES if name in arrays), None)
    if mean is None or covariance is None:
        raise WrongFile(f"{path.name}: expected a mean and a covariance of NIQE, got {', '.join(arrays) or 'nothing'}")
    mean = np.asarray(mean, np.float64).ravel()
    if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES) or not np.isfinite(covariance).all():
        raise WrongFile(
            f"{path.name}: expected a mean of {FEATURES} numbers and a covariance of {FEATURES} x {FEATURES}, got "
            f"{mean.shape} and {covariance.shape}"
        )
    patch_px = about.get("patch_px", 96)
    if not isinstance(patch_px, int) or not 16 <= patch_px <= 256 or patch_px % 2:
        raise WrongFile(f"{path.name}: expected patches of an even edge of 16 to 256 pixels, got {str(patch_px)[:20]}")
    beside = [arrays.get(name) for name in ("brisque_mean", "brisque_deviation")]
    if any(one is not None and np.shape(one) != (FEATURES,) for one in beside):
        raise WrongFile(f"{path.name}: expected {FEATURES} BRISQUE features")
    return Pristine(
        name=str(about.get("name", path.stem))[:80],
        patch_px=patch_px,
        mean=mean,
        covariance=np.asarray(covariance, np.float64),
        pictures=_count(about.get("pictures")),
        patches=_count(about.get("patches")),
        brisque_mean=beside[0],
        brisque_deviation=beside[1],
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _arrays(path: Path) -> tuple[dict[str, Array], dict[str, object]]:
    try:
        if path.suffix.lower() == ".mat":
            from scipy.io import loadmat

            found = loadmat(path, mat_dtype=True, variable_names=[*_MEAN_NAMES, *_COVARIANCE_NAMES])
            return {name: array for name, array in found.items() if not name.startswith("__")}, {}
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            names = [name for name in archive.files if name != "about.json"]
            about = json.loads(archive["about.json"]) if "about.json" in archive.files else {}
            return {name: archive[name] for name in names}, about if isinstance(about, dict) else {}
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        NotImplementedError,
        zipfile.BadZipFile,
        EOFError,
    ) as error:
        raise WrongFile(f"{path.name}: it cannot be read as parameters of NIQE: {error}") from None


def bundled(name: str) -> Pristine:
    """A model that comes with the project: ``photographs`` or ``drawings``. Raises WrongFile, OSError."""
    return load(BUNDLED / f"pristine_{name}.npz")
