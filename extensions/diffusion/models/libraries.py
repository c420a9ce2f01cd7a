"""First of the heavy part: imports diffusers and transformers quietly and without what this machine cannot use."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_MOVED = dict.fromkeys(("PaellaVQModel", "WuerstchenPrior", "WuerstchenDiffNeXt"), "wuerstchen")
"""Classes that lie beside a pipeline although some indexes name them as diffusers' own: their pipeline's folder."""


def prepare() -> None:
    """Make diffusers ready; cheap when it is. Neither progress bars nor advice of theirs reach the terminal."""
    if "diffusers" in sys.modules:
        return
    # transformers imports scipy for the losses of detectors, and schedulers import these two for the Beta schedule and
    # LMS alone: seconds together.
    with _hidden("scipy"):
        import transformers

        transformers.utils.is_scipy_available()  # it remembers the answer
    for module in ("scipy.stats", "scipy.integrate"):
        _defer(module)
    # xformers loads CUDA kernels when it is imported; without CUDA that costs seconds and ends in a page of warnings.
    # diffusers imports torchao for configurations that are not used here; quantizing does when it is asked.
    with _hidden("" if torch.cuda.is_available() else "xformers"), _hidden("torchao"):
        import diffusers
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    logging.getLogger("transformers").setLevel(logging.ERROR)


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Within, ``name`` looks as if it were not installed."""
    before = sys.modules.get(name)
    if name:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is not None:
            sys.modules[name] = before
        elif name:
            del sys.modules[name]


class _Deferred(types.ModuleType):
    """Stands for a module until one of its public names is asked for. importlib's LazyLoader will not do: torch looks
    at ``__file__`` of every module while it is imported, which would load it.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _defer(name: str) -> None:
    """Let ``name`` be imported when it is first used. Each scheduler imports scipy.stats for its Beta schedule, which
    few ask for, and that takes seconds.
    """
    parent, _, last = name.rpartition(".")
    if name in sys.modules or importlib.util.find_spec(parent) is None:
        return
    spec = importlib.util.find_spec(name)
    if spec is None:
        return
    module = _Deferred(name)
    module.__spec__, module.__path__ = spec, list(spec.submodule_search_locations or ())
    sys.modules[name] = module
    setattr(sys.modules[parent], last, module)


def find_class(library: str, name: str) -> Any:
    """The class that a model folder's index names. Raises LookupError where the installed libraries have none."""
    prepare()
    if library in ("diffusers", "transformers"):
        found = getattr(importlib.import_module(library), name, None)
        if found is None and name in _MOVED:
            found = _pipeline_class(_MOVED[name], name)
    else:
        found = _pipeline_class(library, name)
    if found is None or "dummy" in found.__module__:
        raise LookupError(f"{library}.{name}")
    return found


def _pipeline_class(library: str, name: str) -> Any:
    """A class that lies beside its pipeline, such as ``stable_diffusion.StableDiffusionSafetyChecker``."""
    for place in (f"diffusers.pipelines.{library}", f"diffusers.pipelines.deprecated.{library}"):
        # Only names below diffusers.pipelines are ever imported: an index must not choose other modules.
        if library.isidentifier() and importlib.util.find_spec(place) is not None:
            module = importlib.import_module(place)
            found = getattr(module, name, None)
            if found is not None:
                return found
    return None
