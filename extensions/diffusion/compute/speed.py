"""Ways to compute a model faster or in less memory than it comes: what a job asked for, checked against the model, and
applied to a component when it is loaded.

Each set of options is a component of its own in the cache: what is compiled or cast for one job never serves another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from extensions.diffusion.params import Drawn
from webui.api import ModelError

from . import quantizing, tiling

DENOISERS = frozenset({"unet", "transformer", "transformer_2", "prior_prior", "decoder"})
"""Names of the components that run once a step."""

_DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_CACHE_THRESHOLD = 0.05
"""Relative change of the first block's output below which the other blocks' are taken from the step before. Larger is
faster and further from the picture without a cache.
"""

_FORECAST_EVERY = 3
"""One step in so many is computed in full where steps are forecast, after the first three."""


@dataclass(frozen=True)
class Speed:
    """A job's options for the components that run once a step, and for the VAE."""

    tiled: bool = False
    compiled: bool = False
    channels_last: bool = False
    storage_8bit: bool = False
    step_cache: bool = False
    step_forecast: bool = False
    quantization: str = quantizing.NONE

    @classmethod
    def of(cls, params: Drawn) -> Speed:
        """Raises ModelError where two of them exclude each other."""
        if params.step_cache and params.step_forecast:
            raise ModelError(
                "Steps are either reused or forecast, not both.", hint="Switch one off in the group Speed."
            )
        if params.storage_8bit and params.quantization != quantizing.NONE:
            raise ModelError(
                "Weights are either stored in 8 bits or quantized, not both.", hint="Switch one off in the group Speed."
            )
        return cls(
            params.vae_tiling,
            params.compile,
            params.channels_last,
            params.storage_8bit,
            params.step_cache,
            params.step_forecast,
            params.quantization,
        )

    def facts(self, component: str) -> dict[str, bool]:
        """What of it changes ``component``: part of the component's key. Empty where nothing does."""
        if component == "vae":
            return {"tiled": True} if self.tiled else {}
        if component not in DENOISERS:
            return {}
        return {name: True for name, value in vars(self).items() if value is True and name != "tiled"}

    def quantized(self, component: str) -> str:
        """How the weights of ``component`` are kept: part of the component's key."""
        return self.quantization if component in DENOISERS else quantizing.NONE


def chosen_dtype(params: Drawn, own: torch.dtype) -> torch.dtype:
    """The precision that was asked for; ``own`` where it is left to the device."""
    return _DTYPES.get(params.precision, own)


def apply(module: Any, facts: Mapping[str, bool], dtype: torch.dtype, quantization: str = quantizing.NONE) -> Any:
    """``module`` with the options of ``Speed.facts``, quantized. Raises ModelError that names the option a model
    lacks.
    """
    if facts.get("tiled"):
        _asked_of(module, "enable_tiling", "tiles")
        tiling.enable(module)
    if facts.get("channels_last"):
        module.to(memory_format=torch.channels_last)
    module = quantizing.apply(module, quantization, dtype)
    if facts.get("storage_8bit"):
        cast = _asked_of(module, "enable_layerwise_casting", "storage in 8 bits")
        cast(storage_dtype=torch.float8_e4m3fn, compute_dtype=dtype)
    if facts.get("step_cache"):
        _add_step_cache(module)
    if facts.get("step_forecast"):
        _add_forecast(module, dtype)
    if facts.get("compiled"):
        _compile(module)
    return module


def forget_steps(module: Any) -> None:
    """Drop what a step cache kept of an earlier picture, which a cancelled run leaves behind."""
    reset = getattr(module, "_reset_stateful_cache", None)
    if callable(reset):
        reset()


def _add_step_cache(module: Any) -> None:
    from diffusers import FirstBlockCacheConfig

    _asked_of(module, "enable_cache", "step cache")(FirstBlockCacheConfig(threshold=_CACHE_THRESHOLD))


def _add_forecast(module: Any, dtype: torch.dtype) -> None:
    """TaylorSeer (arXiv 2503.06923), to the first order."""
    from diffusers import TaylorSeerCacheConfig

    config = TaylorSeerCacheConfig(cache_interval=_FORECAST_EVERY, max_order=1, taylor_factors_dtype=dtype)
    _asked_of(module, "enable_cache", "step forecast")(config)


def _asked_of(module: Any, method: str, words: str) -> Callable[..., Any]:
    found: Callable[..., Any] | None = getattr(module, method, None)
    if found is None:
        raise ModelError(f"{type(module).__name__} has no {words}.", hint="Switch it off in the group Speed.")
    return found


def _compile(module: Any) -> None:
    if getattr(module, "_repeated_blocks", None):
        module.compile_repeated_blocks()  # one graph for all blocks of a kind: seconds, not minutes
    else:
        module.compile()
