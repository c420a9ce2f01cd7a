"""From a denoiser as it was loaded to one whose matrices are kept in 8 or 4 bits, by a library that the user installed.
Each does it module by module on the processor, and what it leaves is an ordinary module that the cache can move.

The libraries are called directly, not through diffusers' configurations: those read folders alone, put bitsandbytes'
modules on the device by themselves, and cost every start the import of torchao.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from webui.api import ModelError

NONE = "none"


@dataclass(frozen=True)
class Unusable:
    """Why a choice cannot be used: ``code`` for programs, ``words`` for people, ``hint`` to mend it."""

    code: str
    words: str
    hint: str = ""


@dataclass(frozen=True)
class Backend:
    """A library and one of its formats."""

    package: str
    module: str
    """What is imported of the package."""
    devices: frozenset[str]
    """Kinds of device that its kernels are made for."""
    quantize: Callable[[torch.nn.Module, torch.dtype], None]
    """Changes a module on the processor in place; the precision is the one it computes in."""


def trouble(choice: str, device: torch.device, files: Mapping[str, Path | None] | None = None) -> Unusable | None:
    """Why ``choice`` cannot be used on ``device`` for components whose weights lie in ``files`` (None: in a folder);
    None where it can. A library that cannot be imported is one that is not there.
    """
    if choice == NONE:
        return None
    backend = BACKENDS[choice]
    if device.type not in backend.devices:
        kinds = " or ".join(sorted(backend.devices))
        return Unusable("needs_device", f"it needs {kinds}, this device is {device.type}")
    said = _import_trouble(backend.module)
    if said is not None:
        return Unusable("not_installed", f"{backend.package} {said}", f"Install it: pip install {backend.package}")
    packed = next((path for path in (files or {}).values() if path and path.suffix.lower() == ".gguf"), None)
    if packed is not None:
        return Unusable("quantized_already", f"{packed.name} is quantized already", "Set Quantization to None.")
    return None


def check(choice: str, device: torch.device, files: Mapping[str, Path | None]) -> None:
    """Raises ModelError with the reason where ``trouble`` finds one."""
    found = trouble(choice, device, files)
    if found is not None:
        raise ModelError(
            f"Quantization by {choice} cannot be used: {found.words}.",
            hint=found.hint or "Choose another, or None, in the group Speed.",
        )


def apply(module: Any, choice: str, dtype: torch.dtype) -> Any:
    """``module``, on the processor, with the weights of its linear layers (quanto: of its convolutions too) as
    ``choice`` has them. Raises ModelError.
    """
    if choice == NONE:
        return module
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of deprecated parts of torch that these libraries call
            BACKENDS[choice].quantize(module, dtype)
    except (ImportError, ValueError, RuntimeError, TypeError, NotImplementedError, AttributeError) as error:
        said = " ".join(str(error).split())[:300]
        raise ModelError(
            f"{type(module).__name__} cannot be quantized by {choice}: {type(error).__name__}: {said}",
            hint="Choose another, or None, in the group Speed.",
        ) from error
    return module.requires_grad_(False)


@functools.cache
def _import_trouble(module: str) -> str | None:
    """What speaks against ``module``: it is not installed, or fails while it is imported."""
    try:
        top = importlib.util.find_spec(module.partition(".")[0])
        found = None if top is None else importlib.util.find_spec(module)
        if found is None or found.origin is None:  # a folder that an uninstalled package left behind has no origin
            return "is not installed"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(module)
    except (Exception, SystemExit) as error:  # foreign native code may fail in any way
        said = str(error).strip().split("\n")[0]
        return f"cannot be imported ({said[:200] or type(error).__name__})"
    return None


def _torchao(config: str) -> Callable[[torch.nn.Module, torch.dtype], None]:
    def quantize(module: torch.nn.Module, dtype: torch.dtype) -> None:
        torchao: Any = importlib.import_module("torchao.quantization")
        torchao.quantize_(module, getattr(torchao, config)())

    return quantize


def _quanto(weights: str) -> Callable[[torch.nn.Module, torch.dtype], None]:
    def quantize(module: torch.nn.Module, dtype: torch.dtype) -> None:
        quanto: Any = importlib.import_module("optimum.quanto")
        quanto.quantize(module, weights=getattr(quanto, weights))
        quanto.freeze(module)

    return quantize


def _bitsandbytes(bits: int) -> Callable[[torch.nn.Module, torch.dtype], None]:
    """bitsandbytes has no call for a whole module: each linear layer is replaced by its own. It quantizes a matrix
    when that is moved to its device.
    """

    def quantize(module: torch.nn.Module, dtype: torch.dtype) -> None:
        layers: Any = importlib.import_module("bitsandbytes").nn
        for parent in list(module.modules()):
            for name, layer in list(parent.named_children()):
                if type(layer) is torch.nn.Linear:
                    new = _replacement(layers, layer, bits, dtype)
                    new.bias = layer.bias
                    setattr(parent, name, new.train(layer.training))

    return quantize


def _replacement(layers: Any, layer: torch.nn.Linear, bits: int, dtype: torch.dtype) -> Any:
    sizes = (layer.in_features, layer.out_features, layer.bias is not None)
    with torch.device("meta"):
        new = (
            layers.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4")
            if bits == 4
            else layers.Linear8bitLt(*sizes, has_fp16_weights=False)
        )
    weight = layer.weight.data
    new.weight = (
        layers.Params4bit(weight, requires_grad=False, quant_type="nf4", module=new)
        if bits == 4
        else layers.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    )
    return new.to("cpu") if bits == 4 else new


_GPU = frozenset({"cuda"})
_ANY = frozenset({"cpu", "cuda", "xpu"})
BACKENDS: Mapping[str, Backend] = {
    "torchao_int8": Backend("torchao", "torchao.quantization", _ANY, _torchao("Int8WeightOnlyConfig")),
    "torchao_float8": Backend("torchao", "torchao.quantization", _ANY, _torchao("Float8WeightOnlyConfig")),
    "quanto_int8": Backend("optimum-quanto", "optimum.quanto", _ANY, _quanto("qint8")),
    "quanto_int4": Backend("optimum-quanto", "optimum.quanto", _ANY, _quanto("qint4")),
    "bitsandbytes_int8": Backend("bitsandbytes", "bitsandbytes", _GPU, _bitsandbytes(8)),
    "bitsandbytes_nf4": Backend("bitsandbytes", "bitsandbytes", _GPU, _bitsandbytes(4)),
}
"""By the value of the parameter."""
