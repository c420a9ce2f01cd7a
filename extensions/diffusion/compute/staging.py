"""Between a job and the cache: all of a model on the device at once where it fits, else one component after the other,
each for the time in which it computes. A pipeline notices nothing: its calls of components come through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from webui.api import Component, Context, Models, Work

from . import intercept, parts
from .rungs import Knobs, Measures, decoded_on_cpu
from .speed import DENOISERS

VAES = frozenset({"vae", "movq", "vqgan"})
"""Names of the components that lead from latents to pictures."""
_BESIDE = ("controlnet", "adapter")
"""Beginnings of the names of components that take turns with the denoiser at each step."""


@contextmanager
def resident(
    context: Context, requests: Mapping[str, Component], work: Work, measures: Measures, *, exclusive: bool = False
) -> Iterator[dict[str, Any]]:
    """The named components, as a lease gives them; on the device when they are called, which they may be by any
    pipeline. What runs out of memory is repeated alone, after the next of ``measures``.

    ``work``: the denoiser's. ``exclusive``: for whoever attaches something to a module. Raises what a lease raises;
    calls of components raise ModelError when nothing helps.
    """
    models = context.models
    with models.lease(requests, off_device=requests, exclusive=exclusive) as components, ExitStack() as stack:
        modules = {name: one for name, one in components.items() if isinstance(one, torch.nn.Module)}
        stages = _Stages(models, requests, modules, work, measures)
        stack.callback(stages.leave)
        device = context.device
        handlers = {module: _Call(stages, name, device) for name, module in modules.items()}
        stack.enter_context(intercept.through(handlers))
        yield components


@dataclass(frozen=True)
class _Stage:
    """Components that are on the device together, and what they compute."""

    names: frozenset[str]
    work: Work


class _Stages:
    """Which components are leased on the device now. One thread's."""

    def __init__(
        self,
        models: Models,
        requests: Mapping[str, Component],
        modules: Mapping[str, torch.nn.Module],
        work: Work,
        measures: Measures,
    ) -> None:
        self.models = models
        self.modules = modules
        self.measures = measures
        self._requests = requests
        self._work = work
        self._now: _Stage | None = None
        self._held = ExitStack()
        self._fits = models.fits(requests.values(), work=work)

    @property
    def whole(self) -> bool:
        """Whether all is on the device at once."""
        return self._fits and not self.measures.staged

    def work_of(self, name: str, method: str) -> Work:
        """What a call computes."""
        if name in VAES:
            return replace(self._work, operation="encode" if method == "encode" else "decode")
        return self._work if steps(name) else Work("text", self._work.architecture)

    def enter(self, name: str, method: str) -> None:
        """Have ``name`` on the device, and what else has no place there now no longer held there."""
        stage = self._stage(name, method)
        if stage == self._now:
            return
        self.leave()
        self._take(stage)
        self._now = stage

    def leave(self) -> None:
        """Hold nothing on the device. What is there stays as long as there is room."""
        self._now = None
        self._held.close()

    @contextmanager
    def in_main_memory(self, name: str) -> Iterator[None]:
        """Within, ``name`` is off the device and nobody else's."""
        self.leave()
        wanted = {name: self._requests[name]}
        with self.models.lease(wanted, off_device=wanted, exclusive=True):
            yield

    def _stage(self, name: str, method: str) -> _Stage:
        work = self.work_of(name, method)
        if name in VAES:
            return _Stage(frozenset({name}), work)
        if self.whole:
            return _Stage(frozenset(self.modules), self._work)
        beside = {other for other in self.modules if other.startswith(_BESIDE)} if steps(name) else set()
        return _Stage(frozenset({name, *beside}), work)

    def _take(self, stage: _Stage) -> None:
        """Raises ModelError, or what running out of memory raises."""
        wanted = {name: self._requests[name] for name in stage.names}
        in_parts = self.measures.in_parts and not stage.names & VAES
        if in_parts or not self.models.fits(wanted.values()):
            self._take_in_parts(wanted)
            return
        # An estimate that leaves no room may be wrong: the ladder knows what to do when it is not.
        work = stage.work if self.models.fits(wanted.values(), work=stage.work) else None
        self._held.enter_context(self.models.lease(wanted, work=work))

    def _take_in_parts(self, wanted: Mapping[str, Component]) -> None:
        with ExitStack() as stack:
            stack.enter_context(self.models.lease(wanted, off_device=wanted, exclusive=True))
            for name in wanted:
                stack.enter_context(parts.streamed(self.modules[name], self.models.part))
            self._held = stack.pop_all()


class _Call:
    """``intercept.Handler`` of one component."""

    def __init__(self, stages: _Stages, name: str, device: torch.device) -> None:
        self.device = device
        self._stages = stages
        self._name = name
        self._busy = False

    def call(self, method: str, compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The component's answer. Where memory runs out, this call alone is repeated: latents, generator and all that
        the pipeline holds are as they were.
        """
        if self._busy:  # a component's calls of itself are its own business
            return compute(*args, **kwargs)
        attempt = partial(self._attempt, method, compute, args, kwargs)
        self._busy = True
        try:
            return self._stages.models.attempt(
                attempt, self._knobs(method, args, kwargs), work=self._stages.work_of(self._name, method)
            )
        finally:
            self._busy = False

    def _attempt(self, method: str, compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stages, measures = self._stages, self._stages.measures
        module = stages.modules[self._name]
        if self._name in VAES and method == "decode" and measures.vae_on_cpu:
            with stages.in_main_memory(self._name):
                return decoded_on_cpu(module, args, kwargs)
        stages.enter(self._name, method)
        if self._name in VAES:
            return measures.coded(module, compute, args, kwargs)
        if self._name in DENOISERS:
            measures.choose(module, compute, args, kwargs)
        if steps(self._name):
            return measures.denoised(module, compute, args, kwargs)
        return compute(*args, **kwargs)

    def _knobs(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Knobs:
        stages, measures = self._stages, self._stages.measures
        knobs = measures.of_all(stages.leave) if stages.whole else {}
        if self._name in VAES:
            return knobs | measures.of_vae(stages.modules[self._name], method, args)
        if steps(self._name):
            knobs |= measures.of_denoiser(args, kwargs)
        return knobs | measures.of_large(stages.leave)


def steps(name: str) -> bool:
    """Whether the component of this name computes at each step: the denoiser, and what takes turns with it."""
    return name in DENOISERS or name.startswith(_BESIDE)
