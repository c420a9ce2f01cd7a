"""Rows of docs/metrics-precision.md on scores of single pictures and pairs; run by metrics_precision.py.

.venv/bin/pip install scikit-image torchmetrics piq pytorch-msssim lpips libsvm-official
"""

from __future__ import annotations

import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from extensions.metrics.pictures import similarity
from extensions.metrics.pictures.brisque import FEATURES, brisque_features, read_regression
from extensions.metrics.pictures.lpips import TRUNKS, assemble, channel_weights
from extensions.metrics.pictures.scene_statistics import grey, halve
from extensions.metrics.tests.leaves import Pixels, blurred, dead_leaves, noisy

PACKAGES = ("scikit-image", "piq", "pytorch-msssim", "lpips", "libsvm-official")
ON = "dead leaves, noise of 12"
Said = tuple[str, str, str, float, float]
"""Quantity, against, on, ours, theirs."""


def tensor(picture: Pixels) -> Tensor:
    """float64 [1,3,H,W] in 0..1."""
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].double() / 255


def sources() -> list[Callable[[], Iterator[Said]]]:
    """Each may raise ImportError where its program is not installed."""
    return [_scikit, _piq, _msssim, _torchmetrics, _lpips, _libsvm]


def _pair() -> tuple[Pixels, Pixels]:
    clean = dead_leaves(5, 256, 1500)
    return clean, noisy(clean, 12, 1)


def _scikit() -> Iterator[Said]:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    for on, spoil in (("dead leaves, noise of 3", noisy), ("dead leaves, blur of 3", blurred)):
        clean = dead_leaves(5, 256, 1500)
        worse = spoil(clean, 3)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        told = structural_similarity(clean, worse, channel_axis=2, data_range=255, **options)
        a, b = tensor(clean), tensor(worse)
        yield "SSIM", "scikit-image", on, similarity.ssim(a, b).item(), float(told)
        told = peak_signal_noise_ratio(clean, worse, data_range=255)
        yield "PSNR", "scikit-image", on, similarity.psnr(a, b).item(), float(told)


def _piq() -> Iterator[Said]:
    import piq
    from piq.functional import imresize

    clean, worse = _pair()
    a, b = tensor(clean), tensor(worse)
    yield "SSIM", "piq, downsample=False", ON, similarity.ssim(a, b).item(), piq.ssim(a, b, downsample=False).item()
    yield "MS-SSIM", "piq", ON, similarity.ms_ssim(a, b).item(), piq.multi_scale_ssim(a, b).item()
    statistics = sys.modules["piq.brisque"]._natural_scene_statistics
    picture = torch.from_numpy(grey(worse))[None, None]
    theirs = []
    for _ in range(2):
        theirs.append(statistics(picture))
        picture = imresize(picture, sizes=(picture.shape[2] // 2, picture.shape[3] // 2))
    ours, told = brisque_features(worse), torch.cat(theirs, -1)[0].numpy()
    worst = float(np.abs((ours - told) / told).max())
    yield "BRISQUE's 36 features, largest relative difference", "piq", ON, worst, 0.0
    told_half = imresize(torch.from_numpy(grey(clean))[None, None], sizes=(128, 128))[0, 0].numpy()
    worst = float(np.abs(halve(grey(clean)) - told_half).max())
    yield "halving of MATLAB, largest difference in 0..255", "piq", ON, worst, 0.0


def _msssim() -> Iterator[Said]:
    from pytorch_msssim import ms_ssim, ssim

    clean, worse = _pair()
    a, b = tensor(clean), tensor(worse)
    yield "SSIM", "pytorch-msssim", ON, similarity.ssim(a, b).item(), ssim(a, b, data_range=1.0).item()
    yield "MS-SSIM", "pytorch-msssim", ON, similarity.ms_ssim(a, b).item(), ms_ssim(a, b, data_range=1.0).item()


def _torchmetrics() -> Iterator[Said]:
    from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

    clean, worse = _pair()
    a, b = tensor(clean), tensor(worse)
    yield "PSNR", "torchmetrics", ON, similarity.psnr(a, b).item(), peak_signal_noise_ratio(a, b, data_range=1.0).item()
    whole, places = structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
    inside = places[..., 5:-5, 5:-5].mean().item()
    yield "SSIM", "torchmetrics' map, without its mirrored edges", ON, similarity.ssim(a, b).item(), inside
    yield (
        "SSIM",
        "torchmetrics' mean, which counts them (another number)",
        ON,
        similarity.ssim(a, b).item(),
        whole.item(),
    )


def _lpips() -> Iterator[Said]:
    for name in ("IPython", "matplotlib", "matplotlib.pyplot"):  # lpips imports them for plots alone
        sys.modules.setdefault(name, types.ModuleType(name))
    import lpips

    clean, worse = _pair()
    a, b = (tensor(one).float() * 2 - 1 for one in (clean, worse))
    for name, trunk in TRUNKS.items():
        torch.manual_seed(0)
        theirs = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
        weights = theirs.state_dict()
        ours = assemble(trunk, weights, channel_weights(weights, trunk) or [])
        with torch.inference_mode():
            yield f"LPIPS-{name} 0.1, random trunk", "lpips", ON, ours(a, b).item(), theirs(a, b).item()


def _libsvm() -> Iterator[Said]:
    from libsvm import svmutil

    rng = np.random.default_rng(0)
    rows = rng.uniform(-1, 1, (60, FEATURES))
    values = 50 + 20 * rows[:, 0] - 10 * rows[:, 5] ** 2
    model = svmutil.svm_train(values, rows, "-s 3 -t 2 -g 0.05 -c 100 -q")
    features = brisque_features(dead_leaves(5, 256, 1500))
    low, high = np.minimum(features - 1, -1), np.maximum(features + 2, 1)
    scaled = -1 + 2 * (features - low) / (high - low)
    theirs = svmutil.svm_predict([0], scaled[None], model, "-q")[0][0]
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "allmodel", Path(folder) / "allrange"
        svmutil.svm_save_model(str(paths[0]), model)
        lines = [
            f"{i + 1} {one!r} {other!r}" for i, (one, other) in enumerate(zip(low.tolist(), high.tolist(), strict=True))
        ]
        paths[1].write_text("\n".join(["x", "-1 1", *lines]) + "\n", encoding="ascii")
        ours = read_regression(*paths).score(features)
    yield "BRISQUE's regression, a model trained for this", "libsvm", "dead leaves", ours, float(theirs)
