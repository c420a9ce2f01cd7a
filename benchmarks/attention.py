"""Every attention backend on the shapes of real models: seconds against torch's own, and the distance from attention in
fp32. Backends that cannot run here are told with the reason.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import _sd15
import torch

from extensions.diffusion.compute import attention
from extensions.diffusion.params import ATTENTION

SHAPES = {
    "sd15 64x64 self": (2, 8, 4096, 4096, 40),
    "sd15 32x32 self": (2, 8, 1024, 1024, 80),
    "sd15 64x64 text": (2, 8, 4096, 77, 40),
    "sdxl 64x64 self": (2, 10, 4096, 4096, 64),
}
"""Batch, heads, queries, keys, head dimension."""


def main() -> int:
    parser = _sd15.options(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = _sd15.model_dtype()
    refused: dict[str, str] = {}
    for name in ATTENTION:
        reason = "" if name == "auto" else attention.trouble(name, device, dtype)
        if reason:
            refused[name] = reason
    names = [name for name in ATTENTION if name not in ("auto", *refused)]
    shapes = {title: measure(shape, names, device, dtype, given.rounds) for title, shape in SHAPES.items()}
    _sd15.tell("attention", {"dtype": str(dtype), "shapes": shapes, "refused": refused}, given.out)
    return 0


@torch.inference_mode()
def measure(
    shape: tuple[int, ...], names: list[str], device: torch.device, dtype: torch.dtype, rounds: int
) -> dict[str, Any]:
    batch, heads, queries, keys, size = shape
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(batch, heads, queries, size, generator=generator).to(device, dtype)
    key, value = (torch.randn(batch, heads, keys, size, generator=generator).to(device, dtype) for _ in range(2))
    exact = attention._attend(attention.NATIVE, query.float(), key.float(), value.float())
    rows: dict[str, Any] = {}
    for name in names:
        way: Callable[[], torch.Tensor] = lambda name=name: attention._attend(name, query, key, value)  # type: ignore[misc] # noqa: E731
        distance = float((way().float() - exact).norm() / exact.norm())
        rows[name] = {"ms": round(seconds(way, device, rounds) * 1000, 3), "relative_l2": float(f"{distance:.2e}")}
    for row in rows.values():
        row["over_native"] = round(row["ms"] / rows[attention.NATIVE]["ms"], 3)
    return rows


def seconds(way: Callable[[], torch.Tensor], device: torch.device, rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        if device.type == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        way()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
