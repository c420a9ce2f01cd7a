"""Asks this machine which attention backends it can run, and why not the others: for `doctor`, and for the worker's
choice.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from .device import Device

_SHAPE = (1, 2, 64, 64)
"""Of the trial: batch, heads, positions, head dimension. 64 is one that every backend takes."""
_TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Largest relative L2 distance from attention in fp32 that counts as the same result."""


@dataclass(frozen=True)
class BackendReport:
    """One attention backend by the name diffusers gives it. ``reason`` says why it cannot run here, or what holds
    where it can.
    """

    name: str
    usable: bool
    reason: str = ""


def choose(device: Device) -> str:
    """The backend to use: native, unless it fails here; then sliced. Never raises.

    Others are as exact and at most some percent faster, which depends on a model's own shapes; sage loses precision
    that shows in pictures.
    """
    return "native" if _native(device).usable else "sliced"


def probe(device: Device) -> tuple[BackendReport, ...]:
    """Each backend, tried on a tiny problem in the device's dtype. Never raises."""
    return (
        _native(device),
        _fused(device, "_native_flash", SDPBackend.FLASH_ATTENTION, ("cuda", "cpu", "xpu")),
        _fused(device, "_native_efficient", SDPBackend.EFFICIENT_ATTENTION, ("cuda",)),
        _fused(device, "_native_cudnn", SDPBackend.CUDNN_ATTENTION, ("cuda",)),
        _xformers(device),
        _sage(device),
        BackendReport("sliced", True, "slow and sparing: the last resort"),
    )


def _native(device: Device) -> BackendReport:
    return _tried("native", device, device.dtype, scaled_dot_product_attention)


def _fused(device: Device, name: str, backend: SDPBackend, kinds: tuple[str, ...]) -> BackendReport:
    if device.kind not in kinds:
        return BackendReport(name, False, f"needs {' or '.join(kinds)}, this device is {device.kind}")

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(query, key, value)

    return _tried(name, device, device.dtype, compute)


def _xformers(device: Device) -> BackendReport:
    if device.kind != "cuda":
        # Its extension does not load beside a torch without CUDA, and fails in native code where it tries.
        return BackendReport("xformers", False, f"needs cuda, this device is {device.kind}; not imported")
    if not _installed("xformers"):
        return BackendReport("xformers", False, "not installed (pip install xformers)")

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        ops: Any = importlib.import_module("xformers.ops")
        # It wants [batch, positions, heads, dimension].
        result = ops.memory_efficient_attention(*(tensor.transpose(1, 2) for tensor in (query, key, value)))
        return torch.Tensor.transpose(result, 1, 2)

    return _tried("xformers", device, device.dtype, compute)


def _sage(device: Device) -> BackendReport:
    if device.kind != "cuda":
        return BackendReport("sage", False, f"needs cuda, this device is {device.kind}")
    if not _installed("sageattention"):
        return BackendReport("sage", False, "not installed (pip install sageattention)")
    if torch.cuda.get_device_capability(device.torch_device) < (8, 0):
        return BackendReport("sage", False, "needs compute capability 8.0 or newer")

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        module: Any = importlib.import_module("sageattention")
        result: torch.Tensor = module.sageattn(query, key, value)
        return result

    # It computes in 8 bits by design: held to a looser bound, and never chosen by itself.
    report = _tried("sage", device, torch.bfloat16, compute, tolerance=0.1)
    note = "8-bit: some models give black pictures with it; never chosen by itself"
    return BackendReport("sage", True, note) if report.usable else report


def _tried(
    name: str,
    device: Device,
    dtype: torch.dtype,
    compute: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor],
    *,
    tolerance: float | None = None,
) -> BackendReport:
    """Run ``compute`` on random float tensors [batch, heads, positions, dimension] and hold it against attention in
    fp32.
    """
    try:
        generator = torch.Generator("cpu").manual_seed(0)
        exact = [torch.randn(_SHAPE, generator=generator).to(dtype) for _ in range(3)]
        scores = exact[0].float() @ exact[1].float().transpose(-2, -1) / _SHAPE[-1] ** 0.5
        expected = scores.softmax(-1) @ exact[2].float()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of each kernel that it passes over
            result = compute(*(tensor.to(device.torch_device) for tensor in exact)).float().cpu()
        distance = float((result - expected).norm() / expected.norm())
    except (Exception, SystemExit) as error:  # a probe of foreign native code may fail in any way
        return BackendReport(name, False, _first_line(error))
    bound = tolerance if tolerance is not None else _TOLERANCE.get(dtype, 1e-2)
    if not distance <= bound:
        return BackendReport(name, False, f"gives wrong results here: off by {distance:.1e}, allowed {bound:.0e}")
    return BackendReport(name, True, "")


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
