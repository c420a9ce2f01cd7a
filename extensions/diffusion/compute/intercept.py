"""Between a pipeline and its components: calls of a component pass through the job that runs, which has it on the
device in time and repeats what ran out of memory. What any pipeline of diffusers calls is reached.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Protocol

import torch

_METHODS = ("__call__", "encode", "decode", "generate", "get_text_features", "get_image_features")
"""By which pipelines have a component compute something."""


class Handler(Protocol):
    """What a job does with one component's calls."""

    @property
    def device(self) -> torch.device:
        """Where the component computes, wherever its weights are now."""

    def call(self, method: str, compute: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The answer to ``compute(*args, **kwargs)``, the component's own ``method``."""


_NONE: Mapping[int, Handler] = MappingProxyType({})
_handlers: ContextVar[Mapping[int, Handler]] = ContextVar("handlers", default=_NONE)


@contextmanager
def through(handlers: Mapping[torch.nn.Module, Handler]) -> Iterator[None]:
    """Within, calls of these modules go to their handlers. Other threads, which may share the modules, are not
    touched.
    """
    for module in handlers:
        _open(module)
    token = _handlers.set({id(module): handler for module, handler in handlers.items()})
    try:
        yield
    finally:
        _handlers.reset(token)


@contextmanager
def past() -> Iterator[None]:
    """Within, modules are called as they are, where their weights lie now."""
    token = _handlers.set(_NONE)
    try:
        yield
    finally:
        _handlers.reset(token)


def _open(module: torch.nn.Module) -> None:
    """Give ``module`` the way through; a second time does nothing. It is as before where no job asks for it."""
    cls = type(module)
    if not hasattr(cls, "_opened"):
        module.__class__ = _opened_class(cls)


@functools.cache
def _opened_class(cls: type) -> type:
    """A class under the same name, whose objects compute as those of ``cls`` do."""
    members: dict[str, Any] = {"_opened": True, "__module__": cls.__module__, "__qualname__": cls.__qualname__}
    members.update({name: _passing(cls, name) for name in _METHODS if hasattr(cls, name)})
    if isinstance(own := getattr(cls, "device", None), property):
        members["device"] = _place(own)
    return type(cls.__name__, (cls,), members)


def _place(own: property) -> property:
    """Pipelines make their tensors where their components say they are."""

    def device(self: Any) -> torch.device:
        handler = _handlers.get().get(id(self))
        place: torch.device = handler.device if handler is not None else own.__get__(self)
        return place

    return property(device)


def _passing(cls: type, name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(cls, name))
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        compute = functools.partial(getattr(cls, name), self)
        handler = _handlers.get().get(id(self))
        return compute(*args, **kwargs) if handler is None else handler.call(name, compute, args, kwargs)

    return call
