"""Asks this machine which attention backends it can run, and why not the others: for `doctor`, and for the worker's
choice.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from webui.core.memory import ATTENTION_REASONS, AttentionBackend, AttentionChoice

from .device import Device
from .findings import FindingsFile

_SHAPE = (1, 2, 64, 64)
"""Of the trial: batch, heads, positions, head dimension. 64 is one that every backend takes."""
_TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Largest relative L2 distance from attention in fp32 that counts as the same result."""


@dataclass(frozen=True)
class BackendReport:
    """One attention backend by the name diffusers gives it. ``code`` and ``values`` say why it cannot run here, or what
    holds where it can, in the words of ``webui.core.memory.ATTENTION_REASONS``.
    """

    name: str
    usable: bool
    code: str = ""
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """In English."""
        return ATTENTION_REASONS[self.code].format(**self.values) if self.code else ""

    def told(self) -> AttentionBackend:
        return AttentionBackend(
            name=self.name, usable=self.usable, reason=self.reason, code=self.code, values=self.values
        )


def _unusable(name: str, code: str, **values: str) -> BackendReport:
    return BackendReport(name, False, code, values)


def choose(device: Device) -> str:
    """The backend to use: native, unless it fails here; then sliced. Never raises.

    Others are as exact and at most some percent faster, which depends on a model's own shapes; sage loses precision
    that shows in pictures.
    """
    return "native" if _native(device).usable else "sliced"


def choices(findings: FindingsFile) -> tuple[AttentionChoice, ...]:
    """What extensions measured and took for models on this device; what is none of that is passed over."""
    rows = []
    for value in findings.all().values():
        with contextlib.suppress(ValueError):
            rows.append(AttentionChoice.model_validate(value))
    return tuple(sorted(rows, key=lambda row: (row.model, row.backend)))


def probe(device: Device) -> tuple[BackendReport, ...]:
    """Each backend, tried on a tiny problem in the device's dtype. Never raises."""
    return (
        _native(device),
        _fused(device, "_native_flash", SDPBackend.FLASH_ATTENTION, ("cuda", "cpu", "xpu")),
        _fused(device, "_native_efficient", SDPBackend.EFFICIENT_ATTENTION, ("cuda",)),
        _fused(device, "_native_cudnn", SDPBackend.CUDNN_ATTENTION, ("cuda",)),
        _xformers(device),
        _sage(device),
        BackendReport("sliced", True, "last_resort"),
    )


def _native(device: Device) -> BackendReport:
    return _tried("native", device, device.dtype, scaled_dot_product_attention)


def _fused(device: Device, name: str, backend: SDPBackend, kinds: tuple[str, ...]) -> BackendReport:
    if device.kind not in kinds:
        return _unusable(name, "needs_device", devices=", ".join(kinds), device=device.kind)

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(query, key, value)

    return _tried(name, device, device.dtype, compute)


def _xformers(device: Device) -> BackendReport:
    if device.kind != "cuda":
        # Its extension does not load beside a torch without CUDA, and fails in native code where it tries.
        return _unusable("xformers", "needs_device", devices="cuda", device=device.kind)
    if not _installed("xformers"):
        return _unusable("xformers", "not_installed", package="xformers")

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        ops: Any = importlib.import_module("xformers.ops")
        # It wants [batch, positions, heads, dimension].
        result = ops.memory_efficient_attention(*(tensor.transpose(1, 2) for tensor in (query, key, value)))
        return torch.Tensor.transpose(result, 1, 2)

    return _tried("xformers", device, device.dtype, compute)


def _sage(device: Device) -> BackendReport:
    if device.kind != "cuda":
        return _unusable("sage", "needs_device", devices="cuda", device=device.kind)
    if not _installed("sageattention"):
        return _unusable("sage", "not_installed", package="sageattention")
    if torch.cuda.get_device_capability(device.torch_device) < (8, 0):
        return _unusable("sage", "capability", least="8.0")

    def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        module: Any = importlib.import_module("sageattention")
        result: torch.Tensor = module.sageattn(query, key, value)
        return result

    # It computes in 8 bits by design: held to a looser bound, and never chosen by itself.
    report = _tried("sage", device, torch.bfloat16, compute, tolerance=0.1)
    return BackendReport("sage", True, "eight_bit") if report.usable else report


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
        return _unusable(name, "raised", said=_first_line(error))
    bound = tolerance if tolerance is not None else _TOLERANCE.get(dtype, 1e-2)
    if not distance <= bound:
        return _unusable(name, "wrong", off=f"{distance:.1e}", allowed=f"{bound:.0e}")
    return BackendReport(name, True)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
