"""Writes docs/metrics-precision.md: every score beside the programs that it is known from, on the same pictures.

    .venv/bin/pip install clean-fid torchmetrics prdc scikit-image piq pytorch-msssim lpips libsvm-official
    .venv/bin/python scripts/metrics_precision.py

torch-fidelity comes with the tests' requirements. Weights of the published networks are drawn at random, in the files
that these programs read: an architecture that agrees with random weights agrees with all. What is not installed is
left out, and said.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import linalg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import metrics_precision_pictures  # noqa: E402

from extensions.metrics.features import resize  # noqa: E402
from extensions.metrics.features.inception import from_weights  # noqa: E402
from extensions.metrics.features.statistics import write  # noqa: E402
from extensions.metrics.sets.classes import inception_score  # noqa: E402
from extensions.metrics.sets.frechet import frechet_distance, moments  # noqa: E402
from extensions.metrics.sets.kernel import cmmd, kernel_distance, unbiased_mmd  # noqa: E402
from extensions.metrics.sets.manifold import density_coverage, precision_recall  # noqa: E402
from extensions.metrics.tests.random_weights import inception_weights  # noqa: E402
from webui.testing import make_studio, run_pipeline  # noqa: E402

PACKAGES = ("torch-fidelity", "clean-fid", "torchmetrics", "prdc", "scipy", "torch", "transformers", "pillow")
PACKAGES += metrics_precision_pictures.PACKAGES
HEAD = """# Agreement of scores

Made by `scripts/metrics_precision.py`: each row is one quantity of this project and of another program on the same
input, and their relative difference. *Pictures* are two sets of {count} drawings of {side} px as PNG. *Features* are
{n} and {m} rows of {d} correlated normal variables, the second set shifted. Weights of the Inception network are
random, in the file that those programs read, since none come with the project: as a number such a FID means nothing,
as a comparison of programs everything.

| quantity | against | on | ours | theirs | relative difference |
| --- | --- | --- | --- | --- | --- |
"""
TAIL = """
What is compared, and how
- torch-fidelity runs whole, on the folders and the file of weights. torchmetrics' Inception is torch-fidelity's with a
  resize of its own: its formulas are compared; `--torchmetrics` runs it on the pictures too, with `antialias=False`
  (its default, `True`, is another protocol).
- clean-fid downloads its network as a compiled file: its resizing and its formulas are compared, on the same pixels
  and features.
- prdc counts a picture on the edge of a ball as outside (`<`), the paper and this project as inside (`<=`): without
  ties they are equal.
- CMMD is published as code, not as a package: it is compared with the sum over all pairs written out.
- The Inception network is ours, and held to 1e-4 of torch-fidelity's by `extensions/metrics/tests/test_networks.py`.
  CLIP and DINOv2 are transformers' own classes, their configurations read from the weights (held there too); VGG16 is
  torchvision's.
- *Dead leaves* are pictures of 256 px with the statistics of natural scenes (`extensions/metrics/tests/leaves.py`).
  MS-SSIM of piq and pytorch-msssim is the mean over channels after the product over scales, ours before. Trunks of
  LPIPS are random, its weights of channels too.

Versions: {versions}.
"""
FIDELITY, EXACT = "torch-fidelity", np.float64


@dataclass(frozen=True)
class Row:
    quantity: str
    against: str
    on: str
    ours: float
    theirs: float

    def __str__(self) -> str:
        scale = max(abs(self.theirs), 1e-30)
        difference = abs(self.ours - self.theirs) / scale if self.theirs else abs(self.ours)
        return (
            f"| {self.quantity} | {self.against} | {self.on} | {self.ours:.8g} | {self.theirs:.8g} | {difference:.1e} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--torchmetrics", action="store_true", help="run torchmetrics on the pictures too")
    parser.add_argument("--skip-pictures", action="store_true", help="formulas and resizing alone")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "metrics-precision.md")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    real, made = features(1000, 64, 1, 0.0), features(800, 64, 2, 0.2)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="lifelike-precision-") as base:
        if not given.skip_pictures:
            rows += of_pictures(Path(base), given.pictures, given.side, torchmetrics=given.torchmetrics)
        rows += of_statistics(Path(base), real, made)
    rows += of_resizes()
    rows += of_formulas(real, made)
    for source in metrics_precision_pictures.sources():
        rows += attempt(lambda source=source: (Row(*said) for said in source()))
    counts = {"count": given.pictures, "side": given.side, "n": len(real), "m": len(made), "d": real.shape[1]}
    text = HEAD.format(**counts) + "\n".join(map(str, rows)) + "\n" + TAIL.format(versions=", ".join(versions()))
    given.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


def versions() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name} not installed (its rows are missing)"


def features(n: int, d: int, seed: int, shift: float) -> np.ndarray:
    """float32, as networks give them; the mixing is the same for every seed."""
    mix = np.random.default_rng(0).normal(size=(d, d)) / d**0.5
    return (np.random.default_rng(seed).normal(size=(n, d)) @ mix + shift).astype(np.float32)


def attempt(rows: Callable[[], Iterator[Row]]) -> list[Row]:
    """``rows()``; none of a program that is not installed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return list(rows())
    except ImportError as error:
        sys.stderr.write(f"left out: {error}\n")
        return []


# Pictures


def of_pictures(base: Path, count: int, side: int, *, torchmetrics: bool) -> list[Row]:
    """Whole programs on two folders."""
    weights = base / "models" / "features" / "weights-inception-2015-12-05-6726825d.pth"
    weights.parent.mkdir(parents=True)
    torch.save(inception_weights(), weights)
    studio = make_studio(base / "data", models_dirs=[base / "models"])
    folders = []
    for seed in (1, 2):
        asked = {"samples": count, "seed": seed * 10_000, "width": side, "domain": "avatar" if seed == 1 else "any"}
        folder = base / f"set{seed}"
        run_pipeline("starter.draw", {**asked, "folder": str(folder)}, base / "data", studio=studio)
        folders.append(folder)
    scores: dict[str, Any] = {}
    further = {"kid": {"subsets": 20, "subset_size": 16}}
    for name in ("fid", "kid", "inception_score"):
        asked = {"real": str(folders[1]), "generated": str(folders[0]), **further.get(name, {})}
        outcome = run_pipeline(f"metrics.{name}", asked, base / "data", studio=studio)
        if outcome.state != "done":
            raise SystemExit(f"metrics.{name}: {outcome.error}")
        told = json.loads(outcome.paths[0].read_text(encoding="utf-8"))
        scores |= {score: one["value"] for score, one in told["scores"].items()}
    rows = attempt(lambda: _torch_fidelity(folders, weights, scores))
    return rows + (attempt(lambda: _torchmetrics(folders, weights, scores)) if torchmetrics else [])


def _torch_fidelity(folders: list[Path], weights: Path, scores: dict[str, Any]) -> Iterator[Row]:
    from torch_fidelity import calculate_metrics
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    theirs = FeatureExtractorInceptionV3("r", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(weights))
    image = Image.open(next(folders[0].glob("*.png")))
    with torch.inference_mode():
        told = from_weights(inception_weights())(torch.from_numpy(resize.tensorflow(image, 299))[None])
        features_, logits = theirs(torch.from_numpy(np.ascontiguousarray(resize.bytes_of(image)))[None])
    for name, a, b in (("features", told.features, features_), ("logits", told.logits, logits)):
        yield Row(f"Inception {name}, length", FIDELITY, "pictures", float(a.norm()), float(b.norm()))
        worst = float((a - b).abs().max() / b.abs().max())
        yield Row(f"Inception {name}, largest difference over the largest value", FIDELITY, "pictures", worst, 0.0)
    found = calculate_metrics(
        input1=str(folders[0]), input2=str(folders[1]), cuda=torch.cuda.is_available(), fid=True, kid=True, isc=True,
        kid_subsets=20, kid_subset_size=16, feature_extractor_weights_path=str(weights), cache=False,
        verbose=False,
    )  # fmt: skip
    for ours, key in (
        ("FID", "frechet_inception_distance"),
        ("KID", "kernel_inception_distance_mean"),
        ("IS", "inception_score_mean"),
    ):
        yield Row(ours, FIDELITY, "pictures", scores[ours], found[key])


def _torchmetrics(folders: list[Path], weights: Path, scores: dict[str, Any]) -> Iterator[Row]:
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(weights), antialias=False)
    metric.set_dtype(torch.float64)
    for folder, real in zip(folders, (False, True), strict=True):
        for path in sorted(folder.glob("*.png")):
            metric.update(torch.from_numpy(np.ascontiguousarray(resize.bytes_of(Image.open(path))))[None], real=real)
    yield Row("FID", "torchmetrics, antialias=False", "pictures", scores["FID"], float(metric.compute()))


def of_resizes() -> list[Row]:
    """Largest difference of pixels in 0..255, where theirs is nothing by definition."""
    rng = np.random.default_rng(3)
    image = Image.fromarray(rng.integers(0, 256, (180, 410, 3), dtype=np.uint8))
    pixels = np.asarray(image)

    def clean() -> Iterator[Row]:
        from cleanfid.resize import make_resizer

        for name, ours, library, kernel in (
            ("clean", resize.clean, "PIL", "bicubic"),
            ("legacy", resize.pytorch, "PyTorch", "bilinear"),
        ):
            theirs = make_resizer(library, False, kernel, (299, 299))(pixels).transpose(2, 0, 1)
            worst = float(np.abs(ours(image, 299) - theirs).max())
            yield Row(f"resize {name}, largest difference of pixels", "clean-fid", "noise 410x180", worst, 0.0)

    def fidelity() -> Iterator[Row]:
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as theirs

        told = theirs(
            torch.from_numpy(resize.bytes_of(image).astype(np.float32))[None], size=(299, 299), align_corners=False
        )
        worst = float(np.abs(resize.tensorflow(image, 299) - told[0].numpy()).max())
        yield Row("resize tensorflow, largest difference of pixels", FIDELITY, "noise 410x180", worst, 0.0)

    return attempt(clean) + attempt(fidelity)


# Features


def of_statistics(base: Path, real: np.ndarray, made: np.ndarray) -> list[Row]:
    """A file of ours, read as others read it."""
    write(base / "real.npz", moments(real))
    with np.load(base / "real.npz") as file:
        mean, covariance = file["mu"], file["sigma"]
    exact = real.astype(EXACT)
    return [
        Row(
            "mu of an .npz, length",
            "numpy",
            "features",
            float(np.linalg.norm(mean)),
            float(np.linalg.norm(exact.mean(0))),
        ),
        Row(
            "sigma of an .npz, trace",
            "numpy",
            "features",
            float(np.trace(covariance)),
            float(np.trace(np.cov(exact, rowvar=False))),
        ),
    ]


def of_formulas(real: np.ndarray, made: np.ndarray) -> list[Row]:
    a, b = real.astype(EXACT), made.astype(EXACT)
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(first @ second).real
    told = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    ours = frechet_distance(real, made)
    rows = [Row("Frechet distance", "scipy's sqrtm", "features", ours, float(told))]
    rows += attempt(lambda: _clean_formulas(real, made, ours))
    rows += attempt(lambda: _torchmetrics_formulas(real, made, ours))
    rows += attempt(lambda: _fidelity_formulas(real, made, ours))
    rows += attempt(lambda: _prdc(real, made))
    x, y = (rows_ / np.linalg.norm(rows_, axis=1, keepdims=True) for rows_ in (a, b))

    def mean(p: np.ndarray, q: np.ndarray) -> float:
        return float(np.mean([np.exp(-np.square(row - q).sum(1) / 200).mean() for row in p]))

    theirs = 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    return [*rows, Row("CMMD", "the sum over all pairs", "features", cmmd(real, made).value, theirs)]


def _clean_formulas(real: np.ndarray, made: np.ndarray, ours: float) -> Iterator[Row]:
    from cleanfid import fid

    statistics = [(rows.astype(EXACT).mean(0), np.cov(rows.astype(EXACT), rowvar=False)) for rows in (real, made)]
    with contextlib.suppress(TypeError, ValueError):  # it asks scipy for an argument that newer ones lack
        yield Row(
            "Frechet distance",
            "clean-fid",
            "features",
            ours,
            float(fid.frechet_distance(*statistics[0], *statistics[1])),
        )
    count = min(len(real), len(made))
    same = real[:count].astype(EXACT), made[:count].astype(EXACT)
    theirs = fid.kernel_distance(*same, num_subsets=1, max_subset_size=count)
    yield Row("kernel distance, one subset of all", "clean-fid", "features", unbiased_mmd(*same), theirs)


def _torchmetrics_formulas(real: np.ndarray, made: np.ndarray, ours: float) -> Iterator[Row]:
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.kid import poly_mmd

    a, b = (torch.from_numpy(rows.astype(EXACT)) for rows in (real, made))
    theirs = float(_compute_fid(a.mean(0), a.T.cov(), b.mean(0), b.T.cov()))
    yield Row("Frechet distance", "torchmetrics", "features", ours, theirs)
    count = min(len(a), len(b))
    told = unbiased_mmd(a[:count].numpy(), b[:count].numpy())
    yield Row(
        "kernel distance, one subset of all", "torchmetrics", "features", told, float(poly_mmd(a[:count], b[:count]))
    )


def _fidelity_formulas(real: np.ndarray, made: np.ndarray, ours: float) -> Iterator[Row]:
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    a, b = torch.from_numpy(real).double(), torch.from_numpy(made).double()
    said = {"verbose": False, "kid_subsets": 100, "kid_subset_size": 500, "rng_seed": 2020}
    theirs = fid_statistics_to_metric(fid_features_to_statistics(a), fid_features_to_statistics(b), False)
    yield Row("Frechet distance", FIDELITY, "features", ours, theirs["frechet_inception_distance"])
    kid = kernel_distance(real, made, subsets=100, subset_size=500, seed=2020).estimate.value
    told = kid_features_to_metric(b, a, **said)["kernel_inception_distance_mean"]
    yield Row("KID, 100 subsets of 500", FIDELITY, "features", kid, told)
    score = inception_score([made], splits=10, seed=2020)
    told = isc_features_to_metric(b, 10, True, 2020)
    yield Row("inception score", FIDELITY, "features as logits", score.estimate.value, told["inception_score_mean"])
    yield Row("deviation over splits", FIDELITY, "as logits", score.spread, told["inception_score_std"])
    both = precision_recall(real, made, 3)
    told = prc_features_to_metric(b, a, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False)
    yield Row("precision, k = 3", FIDELITY, "features", both.precision.value, told["precision"])
    yield Row("recall, k = 3", FIDELITY, "features", both.recall.value, told["recall"])


def _prdc(real: np.ndarray, made: np.ndarray) -> Iterator[Row]:
    from prdc import compute_prdc

    told = compute_prdc(real.astype(EXACT), made.astype(EXACT), nearest_k=5)
    both, others = precision_recall(real, made, 5), density_coverage(real, made, 5)
    for name, value in (
        ("precision", both.precision.value),
        ("recall", both.recall.value),
        ("density", others.density.value),
        ("coverage", others.coverage.value),
    ):
        yield Row(f"{name}, k = 5", "prdc", "features", value, float(told[name]))


if __name__ == "__main__":
    sys.exit(main())
