"""The feature pass of scores: pictures a second over torch-fidelity's on one folder, and whether memory stays constant.

Both read the same PNG files with FID's Inception, whose weights are drawn at random here. Ours is timed within a job
(metrics.statistics) from the end of the first batch, when the network is loaded, to the end of the last; theirs is the
pass with a network that is loaded before. They take turns, so that what else the machine does meets both.

Memory is that of a process that runs metrics.fd on 1,000 and on 50,000 small pictures with a network of four features:
the network's own memory would hide the pass's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import _sd15
import numpy as np
import torch
from PIL import Image

from extensions.metrics.tests.random_weights import inception_weights
from webui.testing import make_studio, run_pipeline

BATCH = 16
"""Pictures of both."""
TINY = """
    from webui.api import FeatureNetwork, hookimpl

    @hookimpl
    def register_feature_networks():
        return [FeatureNetwork("tiny.tiny", "tiny", dim=4, run=".network:Tiny")]
"""
NETWORK = """
    import numpy as np
    import torch
    from webui.api import Component, ComponentKey

    class Tiny:
        heads = {}
        protocol = {"weights": "", "resize": "none", "antialias": False, "size": 16}

        def __init__(self, models, weights, resize):
            self.component = Component(ComponentKey("/tiny", 0, 0, "tiny", "float32"), lambda: torch.nn.Conv2d(3, 4, 3))

        def prepare(self, picture):
            return np.asarray(picture, np.float32).transpose(2, 0, 1)

        def read(self, network, batch):
            return {"features": network(batch).mean((2, 3))}
"""


def main() -> int:
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--pictures", type=int, default=64, help="of the comparison with torch-fidelity")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--many", type=int, default=50_000, help="pictures of the run whose memory is measured")
    parser.add_argument("--skip-speed", action="store_true")
    parser.add_argument("--skip-memory", action="store_true")
    given = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="lifelike-bench-") as base:
        if not given.skip_speed:
            result["speed"] = speed(Path(base), given.pictures, given.side, given.rounds)
        if not given.skip_memory:
            result["memory"] = memory(Path(base), given.many)
    _sd15.tell("metrics", result, given.out)
    return 0


def speed(base: Path, pictures: int, side: int, rounds: int) -> dict[str, Any]:
    folder = write(base / "pictures", pictures, side)
    weights = base / "models" / "features" / "weights-inception-2015-12-05.pth"
    weights.parent.mkdir(parents=True)
    torch.save(inception_weights(), weights)
    studio = make_studio(base / "data", models_dirs=[base / "models"], extensions={"metrics": {"keep_features": False}})
    ways = {"ours": lambda: ours(studio, base, folder), "torch_fidelity": theirs(weights, folder)}
    for way in ways.values():  # once each, so that imports and weights are there
        way()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(way())
    told = {f"{name}_pictures_per_s": round(statistics.median(rate), 3) for name, rate in rates.items()}
    ratios = [a / b for a, b in zip(rates["ours"], rates["torch_fidelity"], strict=True)]
    told |= {"ratio": round(statistics.median(ratios), 3), "ratios": [round(ratio, 3) for ratio in ratios]}
    return {"pictures": pictures, "side_px": side, **told}


def ours(studio: Any, base: Path, folder: Path) -> float:
    """Pictures a second after the first batch."""
    ends: list[tuple[int, float]] = []

    def watch(outcome: Any) -> bool:
        told = outcome.progress[-1] if outcome.progress else None
        if told is not None and told.message.startswith("Reading") and told.step > (ends[-1][0] if ends else 0):
            ends.append((told.step, time.perf_counter()))
        return False

    asked = {"real": str(folder), "network": "metrics.inception", "batch": BATCH}
    outcome = run_pipeline("metrics.statistics", asked, base / "data", studio=studio, cancel_when=watch)
    if outcome.state != "done":
        raise SystemExit(f"metrics.statistics: {outcome.error}")
    return (ends[-1][0] - ends[0][0]) / (ends[-1][1] - ends[0][1])


def theirs(weights: Path, folder: Path) -> Callable[[], float]:
    from torch_fidelity.utils import create_feature_extractor, extract_featuresdict_from_input_id

    cuda = torch.cuda.is_available()
    said = {"input1": str(folder), "cuda": cuda, "batch_size": BATCH, "verbose": False, "cache": False}
    extractor = create_feature_extractor(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights), **said
    )

    def read() -> float:
        began = time.perf_counter()
        with warnings.catch_warnings(action="ignore"):  # it starts more workers than there are cores, and is told so
            found = extract_featuresdict_from_input_id(1, extractor, **said)
        return len(found["2048"]) / (time.perf_counter() - began)

    return read


def memory(base: Path, many: int) -> dict[str, Any]:
    """Peak resident memory of whole processes, by the number of pictures."""
    extension = base / "extensions" / "tiny"
    extension.mkdir(parents=True)
    (extension / "extension.toml").write_text('id = "tiny"\nversion = "1"\napi = "1.4"\n', encoding="utf-8")
    (extension / "__init__.py").write_text(dedent(TINY), encoding="utf-8")
    (extension / "network.py").write_text(dedent(NETWORK), encoding="utf-8")
    real = write(base / "real", 200, 16)
    rows = {}
    for count in (1000, many):
        folder = write(base / f"made-{count}", count, 16)
        rows[count] = run_apart(base, extension.parent, real, folder, count)
    small, large = (rows[count]["peak_mib"] for count in (1000, many))
    return {"runs": rows, "growth_mib": round(large - small, 1), "ratio": round(large / small, 3)}


def run_apart(base: Path, extensions: Path, real: Path, folder: Path, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "webui.cli", "run", "metrics.fd", "--network", "tiny.tiny", "--json"]
    command += ["--real", str(real), "--generated", str(folder), "--batch", "64"]
    command += ["--data-dir", str(base / f"data-{count}"), "--extensions-dir", str(extensions)]
    began = time.perf_counter()
    with (base / f"{count}.out").open("wb") as out:
        process = subprocess.Popen(command, cwd=_sd15.ROOT, stdout=out, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"metrics.fd of {count} pictures ended with {status}")
    told = json.loads((base / f"{count}.out").read_text(encoding="utf-8").splitlines()[-1])
    value = next(one["value"] for one in told["artifacts"] if one["kind"] == "scalar")
    return {
        "peak_mib": round(used.ru_maxrss / 2**10, 1),
        "job_s": told["seconds"],
        "pictures_per_s": round(count / told["seconds"], 1),
        "process_s": round(time.perf_counter() - began, 1),
        "generated": value["generated"],
    }


def write(folder: Path, count: int, side: int) -> Path:
    """PNG files; of many, five hundred differ and the others are further names of them."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"{index:06}.png"
        if index < 500:
            small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            small.resize((side, side), Image.Resampling.BICUBIC).save(path)
        else:
            os.link(folder / f"{index % 500:06}.png", path)
    return folder


if __name__ == "__main__":
    sys.exit(main())
