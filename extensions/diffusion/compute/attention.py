"""Between a model's attention layers and the kernel that computes them: the job's choice, tried before it is used.

diffusers' ``set_attention_backend`` reaches only the models that call its dispatcher; UNets, SD3, PixArt and Sana keep
torch's own. Here the processors of any model are given a way through the dispatcher, and take it only while a job has
chosen another backend.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

NATIVE, SLICED = "native", "sliced"
"""torch's own choice of a kernel; the same one head after another, slow and sparing."""

_MASKLESS = frozenset({"_native_flash", "sage", "_flash_3"})
_CUDA_ONLY = frozenset({"_native_efficient", "_native_cudnn", "xformers", "sage", "_flash_3"})
_PACKAGES = {"xformers": "xformers", "sage": "sageattention", "_flash_3": "flash_attn_interface"}
_HEAD_DIMS = {"sage": (64, 96, 128)}
LIMITS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Largest relative L2 distance from attention in fp32 that counts as the same result."""
_SAGE_LIMIT = 0.1
_TRIAL = (1, 2, 64, 64)

_chosen: ContextVar[str] = ContextVar("attention", default=NATIVE)


class BackendFailed(Exception):
    """A backend raised in the middle of a picture. ``str`` of it is what the backend said."""


@contextmanager
def using(backend: str, modules: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Within, the attention of ``modules`` is computed by ``backend``. Other threads are not touched.

    Raises BackendFailed, out of the modules' forward, for whatever the backend raises but running out of memory.
    """
    if backend != NATIVE:
        for module in modules:
            _open(module)
    token = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(token)


@functools.lru_cache
def trouble(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Why ``backend`` cannot be used here: it raises, or differs from attention in fp32; empty where it can. Tried
    once a process, so that other versions are tried anew.
    """
    if backend in (NATIVE, SLICED):
        return ""
    if backend in _CUDA_ONLY and device.type != "cuda":
        return f"it needs cuda, this device is {device.type}"  # xformers would end in native code
    package = _PACKAGES.get(backend)
    if package is not None and importlib.util.find_spec(package) is None:
        return f"the package {package} is not installed"
    generator = torch.Generator("cpu").manual_seed(0)
    inputs = [torch.randn(_TRIAL, generator=generator).to(dtype) for _ in range(3)]
    query, key, value = (tensor.float() for tensor in inputs)
    expected = (query @ key.transpose(-2, -1) / _TRIAL[-1] ** 0.5).softmax(-1) @ value
    try:
        with torch.inference_mode():
            result = _attend(backend, *(tensor.to(device) for tensor in inputs)).float().cpu()
    except (BackendFailed, torch.OutOfMemoryError) as error:
        return str(error)
    distance = float((result - expected).norm() / expected.norm())
    limit = _SAGE_LIMIT if backend == "sage" else LIMITS.get(dtype, 1e-2)
    return "" if distance <= limit else f"its results are off by {distance:.1e}, allowed are {limit:.0e}"


def _open(module: torch.nn.Module) -> None:
    """Give every attention processor in ``module`` the way through ``_Route``; a second time does nothing.

    A processor is inert while its job has chosen ``native``: leases may share the module.
    """
    for layer in module.modules():
        processor = getattr(layer, "processor", None)
        if processor is not None and callable(processor) and not isinstance(processor, torch.nn.Module):
            cls = type(processor)
            if not hasattr(cls, "_routed"):
                processor.__class__ = _routed_class(cls)


@functools.cache
def _routed_class(cls: type) -> type:
    """A processor class that computes as ``cls`` does, through the chosen backend."""
    inner: Callable[..., Any] = cls.__call__

    @functools.wraps(inner)  # diffusers reads the signature to know which arguments to pass
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        backend = _chosen.get()
        if backend == NATIVE:
            return inner(self, *arguments, **options)
        with _Route(backend):
            return inner(self, *arguments, **options)

    return type(cls.__name__, (cls,), {"__call__": call, "_routed": True})


class _Route(TorchFunctionMode):
    """Within, torch's scaled dot product attention is computed by ``backend``, whoever calls it."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        self._backend = backend

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func is scaled_dot_product_attention:
            return _attend(self._backend, *args, **options)
        return func(*args, **options)


def _attend(
    backend: str, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **options: Any
) -> torch.Tensor:
    """As ``scaled_dot_product_attention``, [batch, heads, positions, dimension]; what a backend lacks is computed
    natively.
    """
    names = ("attn_mask", "dropout_p", "is_causal")
    options = {**dict(zip(names, rest, strict=False)), **options}
    masked = options.get("attn_mask") is not None
    if backend == SLICED and query.shape[1] == key.shape[1]:
        return _sliced(query, key, value, options)
    wrong_size = query.shape[-1] not in _HEAD_DIMS.get(backend, (query.shape[-1],))
    if backend in (NATIVE, SLICED) or (masked and backend in _MASKLESS) or wrong_size:
        return scaled_dot_product_attention(query, key, value, **options)
    from diffusers.models.attention_dispatch import AttentionBackendName, dispatch_attention_fn

    try:
        # The dispatcher wants [batch, positions, heads, dimension].
        rows = (tensor.transpose(1, 2) for tensor in (query, key, value))
        result: torch.Tensor = dispatch_attention_fn(*rows, **options, backend=AttentionBackendName(backend))
        return result.transpose(1, 2)
    except torch.OutOfMemoryError:
        raise
    except (Exception, SystemExit) as error:  # foreign native code may fail in any way
        said = str(error).strip().split("\n")[0]
        raise BackendFailed(said[:200] or type(error).__name__) from error


def _sliced(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    """One head at a time: the matrix of scores is as small as it can be."""
    mask = options.pop("attn_mask", None)
    heads = query.shape[1]
    result = []
    for head in range(heads):
        part = slice(head, head + 1)
        own = mask[:, part] if mask is not None and mask.ndim == 4 and mask.shape[1] == heads else mask
        result.append(
            scaled_dot_product_attention(query[:, part], key[:, part], value[:, part], attn_mask=own, **options)
        )
    return torch.cat(result, 1)
