"""Loading the denoiser of SD 1.5's size: ours and diffusers' own, up to the first use of each weight, against a plain
read of the same file. Cold: the file's pages are dropped first; warm: they are in memory.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import _sd15
import torch

from extensions.diffusion.models.libraries import find_class
from extensions.diffusion.models.loading import make_plan, requests


def main() -> int:
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with _sd15.models_folder() as models:
        folder = models / "diffusers" / "sd15_0"
        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        result = {
            "bytes": file.stat().st_size,
            **{state: measure(folder, file, given.rounds, cold=state == "cold") for state in ("cold", "warm")},
        }
    _sd15.tell("loading", result, given.out)
    return 0


def measure(folder: Path, file: Path, rounds: int, *, cold: bool) -> dict[str, Any]:
    dtype = _sd15.model_dtype()
    ways: dict[str, Callable[[], float]] = {
        "plain_read": lambda: _sd15.plain_read_s(file),
        "ours": lambda: timed(lambda: ours(folder, dtype)),
        "diffusers": lambda: timed(lambda: theirs(folder, dtype)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            if cold:
                _sd15.forget_pages(file)
            seconds[name].append(way())
    best = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        **{f"{name}_s": round(value, 3) for name, value in best.items()},
        "ours_over_plain_read": round(best["ours"] / best["plain_read"], 3),
        "ours_over_diffusers": round(best["ours"] / best["diffusers"], 3),
    }


def timed(load: Callable[[], Any]) -> float:
    began = time.perf_counter()
    _sd15.touch(load())
    return time.perf_counter() - began


def ours(folder: Path, dtype: torch.dtype) -> Any:
    model: Any = SimpleNamespace(ref="sd15", path=folder, format="diffusers", family="sd1", variant="")
    return requests(make_plan(model), lambda _: dtype)["unet"].load()


def theirs(folder: Path, dtype: torch.dtype) -> Any:
    cls = find_class("diffusers", "UNet2DConditionModel")
    return cls.from_pretrained(str(folder / "unet"), torch_dtype=dtype, local_files_only=True)


if __name__ == "__main__":
    sys.exit(main())
