"""Which attention backend is quickest for a model: measured on the shapes of its own layers, kept for this device and
these versions. torch's own stays unless another is clearly faster and as exact.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from webui.api import Findings

from . import attention

LEAST_GAIN = 1.05
"""How many times as fast as torch's own another must be."""
_ROUNDS = 5
_CANDIDATES = ("_native_flash", "_native_efficient", "_native_cudnn", "xformers", "_flash_3")
"""Sage computes in 8 bits, which shows: it is never chosen by itself."""

Attend = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Of one call: query [batch, heads, queries, dim], key and value [batch, key_heads, keys, dim]."""

    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    dim: int
    dtype: torch.dtype
    mask: tuple[int, ...] | None = None
    causal: bool = False


def candidates(device: torch.device, dtype: torch.dtype) -> tuple[str, ...]:
    """Backends that might be faster than torch's own choice and run here. None on a CPU, where that choice is the flash
    kernel already.
    """
    if device.type != "cuda":
        return ()
    return tuple(name for name in _CANDIDATES if not attention.trouble(name, device, dtype))


class Chooser:
    """Chooses for one denoiser; what was measured before is not measured again."""

    def __init__(
        self,
        model: str,
        findings: Findings,
        names: Sequence[str],
        device: torch.device,
        *,
        attend: Attend = attention._attend,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``model``: as users know it. ``names``: backends to try."""
        self._model = model
        self._findings = findings
        self._names = tuple(names)
        self._device = device
        self._attend = attend
        self._clock = clock

    def choose(
        self, module: torch.nn.Module, compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> str:
        """The backend for calls of ``module`` like this one, which is computed once more where it was not known."""
        if not self._names:
            return attention.NATIVE
        key = self._key(module, args, kwargs)
        found = self._findings.get(key)
        if not isinstance(found, Mapping) or "backend" not in found:
            with _Shapes() as seen:
                compute(*args, **kwargs)
            ratios = measured(seen.shapes, self._names, self._device, attend=self._attend, clock=self._clock)
            found = {"model": self._model, "backend": quickest(ratios), "ratios": ratios}
            self._findings.keep(key, found)
        backend = str(found["backend"])
        return backend if backend in self._names else attention.NATIVE

    def _key(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Model, shapes and versions of what might compute it: all that the times depend on, the device aside."""
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor)]
        versions = {name: _version(name) for name in ("xformers", "flash-attn-3")}
        facts = [
            type(module).__name__,
            dict(getattr(module, "config", {})),
            [[str(tensor.dtype), *tensor.shape] for tensor in tensors],
            self._names,
            versions,
        ]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
        return f"{type(module).__name__}-{digest[:16]}"


def measured(
    shapes: Mapping[Shape, int],
    names: Sequence[str],
    device: torch.device,
    *,
    attend: Attend = attention._attend,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Seconds of each backend over those of torch's own, for all calls of ``shapes`` together. What fails on a shape,
    or is too far from attention in fp32, is left out.
    """
    seconds: dict[str, float] = dict.fromkeys((attention.NATIVE, *names), 0.0)
    for shape, calls in shapes.items():
        inputs, options = _inputs(shape, device)
        for name in list(seconds):
            took = _seconds(name, inputs, options, device, attend, clock)
            if took is None:
                del seconds[name]
            else:
                seconds[name] += took * calls
    own = seconds.get(attention.NATIVE)
    return {name: round(took / own, 4) for name, took in seconds.items()} if own else {}


def quickest(ratios: Mapping[str, float]) -> str:
    """The fastest of ``measured``, if it is at least 5 % faster than torch's own."""
    name = min(ratios, key=lambda one: ratios[one], default=attention.NATIVE)
    return name if name in ratios and ratios[name] * LEAST_GAIN <= 1.0 else attention.NATIVE


def _seconds(
    name: str,
    inputs: Sequence[torch.Tensor],
    options: Mapping[str, Any],
    device: torch.device,
    attend: Attend,
    clock: Callable[[], float],
) -> float | None:
    """The median time of one call; None where its result cannot be used."""
    try:
        result = attend(name, *inputs, **options)
        if not _exact(result, inputs, options):
            return None
        times = []
        for _ in range(_ROUNDS):
            _wait(device)
            began = clock()
            attend(name, *inputs, **options)
            _wait(device)
            times.append(clock() - began)
        return statistics.median(times)
    except (attention.BackendFailed, torch.OutOfMemoryError):
        return None


def _exact(result: torch.Tensor, inputs: Sequence[torch.Tensor], options: Mapping[str, Any]) -> bool:
    wide = [tensor.float() for tensor in inputs]
    mask = options.get("attn_mask")
    expected = scaled_dot_product_attention(*wide, **{**options, "attn_mask": None if mask is None else mask.float()})
    distance = float((result.float() - expected).norm() / expected.norm())
    return distance <= attention.LIMITS.get(inputs[0].dtype, 1e-2)


def _inputs(shape: Shape, device: torch.device) -> tuple[list[torch.Tensor], dict[str, Any]]:
    generator = torch.Generator("cpu").manual_seed(0)

    def drawn(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator).to(device, shape.dtype)

    query = drawn(shape.batch, shape.heads, shape.queries, shape.dim)
    key, value = (drawn(shape.batch, shape.key_heads, shape.keys, shape.dim) for _ in range(2))
    options: dict[str, Any] = {"attn_mask": None if shape.mask is None else drawn(*shape.mask)}
    if shape.causal:
        options["is_causal"] = True
    if shape.heads != shape.key_heads:
        options["enable_gqa"] = True
    return [query, key, value], options


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


class _Shapes(TorchFunctionMode):
    """Within, counts the shapes that torch's attention is called with."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: Counter[Shape] = Counter()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False))
            call = {**named, **options}
            query, key, mask = call["query"], call["key"], call.get("attn_mask")
            shape = Shape(
                query.shape[0], query.shape[1], key.shape[1], query.shape[2], key.shape[2], query.shape[3], query.dtype
            )
            if mask is not None or call.get("is_causal"):
                size = None if mask is None else tuple(mask.shape)
                shape = Shape(*list(vars(shape).values())[:7], mask=size, causal=bool(call.get("is_causal")))
            self.shapes[shape] += 1
        return func(*args, **options)
