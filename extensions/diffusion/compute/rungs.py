"""What a diffusion job can do when the device's memory runs out, in the words of the cache's ladder: between one call
of a component and the next attempt at it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from . import attention, rows, tiling
from .choosing import Chooser
from .speed import forget_steps

Knobs = dict[str, Callable[[], None]]
Args = tuple[Any, ...]
Kwargs = dict[str, Any]


@dataclass
class Measures:
    """What was taken so far. It holds for the rest of the job: what ran out once would run out again."""

    attention: str = attention.NATIVE
    """The backend of the denoiser's attention."""
    chooser: Chooser | None = None
    """Chooses it at the denoiser's first call, where that is left to us."""
    staged: bool = False
    """One component after the other on the device, though all of them might fit without their work."""
    in_parts: bool = False
    """The denoiser's blocks one by one on the device."""
    at_once: int = 0
    """The most rows of one call of the denoiser; 0: all."""
    together: bool = False
    """Whether rows of one call look at one another, so that they cannot be computed apart."""
    slicing: bool = False
    tiling: bool = False
    vae_on_cpu: bool = False

    # What is left to be taken

    def of_all(self, leave: Callable[[], None]) -> Knobs:
        """For a component beside which all others are on the device. ``leave`` gives up its place there, so that it is
        taken anew.
        """
        return {"drop_idle_stages": partial(self._set, leave, staged=True)}

    def of_large(self, leave: Callable[[], None]) -> Knobs:
        """For components whose blocks can go to the device one by one."""
        return {} if self.in_parts else {"offload_denoiser": partial(self._set, leave, staged=True, in_parts=True)}

    def of_denoiser(self, args: Args, kwargs: Kwargs) -> Knobs:
        knobs: Knobs = {}
        if self.attention != attention.SLICED:
            knobs["sliced_attention"] = partial(self._set, attention=attention.SLICED)
        count = 1 if self.together else rows.count(args, kwargs)
        half = math.ceil(count / 2)
        if count > 1 and not 0 < self.at_once <= half:
            knobs["split_guidance"] = partial(self._set, at_once=half)
        if count > 2 and self.at_once != 1:
            knobs["split_batch"] = partial(self._set, at_once=1)
        return knobs

    def of_vae(self, vae: Any, method: str, args: Args) -> Knobs:
        """Every VAE of diffusers has the methods; the attribute tells which can follow them."""
        knobs: Knobs = {}
        several = bool(args) and isinstance(args[0], torch.Tensor) and args[0].shape[0] > 1
        if several and not self.slicing and getattr(vae, "use_slicing", None) is False:
            knobs["vae_slicing"] = partial(self._set, slicing=True)
        if not self.tiling and getattr(vae, "use_tiling", None) is False:
            knobs["vae_tiling"] = partial(self._set, tiling=True)
        if method == "decode" and not self.vae_on_cpu:
            knobs["vae_on_cpu"] = partial(self._set, vae_on_cpu=True)
        return knobs

    def _set(self, then: Callable[[], None] = lambda: None, **changes: Any) -> None:
        for name, value in changes.items():
            setattr(self, name, value)
        then()

    # How a component computes with what was taken

    def choose(self, module: torch.nn.Module, compute: Callable[..., Any], args: Args, kwargs: Kwargs) -> None:
        """Before the denoiser's first call."""
        chooser, self.chooser = self.chooser, None
        if chooser is not None and self.attention == attention.NATIVE:
            self.attention = chooser.choose(module, compute, args, kwargs)
            forget_steps(module)

    def denoised(self, module: torch.nn.Module, compute: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        with attention.using(self.attention, [module]):
            if 0 < self.at_once < rows.count(args, kwargs):
                return rows.split(compute, args, kwargs, self.at_once)
            return compute(*args, **kwargs)

    def coded(self, vae: Any, compute: Callable[..., Any], args: Args, kwargs: Kwargs) -> Any:
        """A VAE's answer. Its switches are put back: other jobs share it."""
        with ExitStack() as stack:
            if self.slicing and getattr(vae, "use_slicing", None) is False:
                vae.enable_slicing()
                stack.callback(vae.disable_slicing)
            if self.tiling and getattr(vae, "use_tiling", None) is False:
                stack.enter_context(tiling.enabled(vae))
            return compute(*args, **kwargs)


def decoded_on_cpu(vae: torch.nn.Module, args: Args, kwargs: Kwargs) -> Any:
    """What ``vae.decode`` gives, computed in main memory, where its weights must lie, and in float32: half precision is
    slow there.
    """
    weight = next(vae.parameters())
    wide: Any = vae if weight.dtype == torch.float32 else copy.deepcopy(vae).float()
    device = args[0].device
    cpu, float32 = torch.device("cpu"), torch.float32
    answer = wide.decode(*(_moved(one, cpu, float32) for one in args), **kwargs)
    return _moved(answer, device, weight.dtype)


def _moved(value: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(value, torch.Tensor):
        return value.to(device, dtype) if value.is_floating_point() else value.to(device)
    if isinstance(value, dict):
        return type(value)(**{name: _moved(one, device, dtype) for name, one in value.items()})
    if isinstance(value, tuple):
        return tuple(_moved(one, device, dtype) for one in value)
    return value
