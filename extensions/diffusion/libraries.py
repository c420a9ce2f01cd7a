"""First of the heavy part: imports diffusers and transformers quietly and without what this machine cannot use."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from typing import Any

import torch


def prepare() -> None:
    """Make diffusers ready; cheap when it is. Neither progress bars nor advice of theirs reach the terminal."""
    if "diffusers" in sys.modules:
        return
    # xformers loads CUDA kernels when it is imported; without CUDA that costs seconds and ends in a page of warnings.
    hide = not torch.cuda.is_available() and "xformers" not in sys.modules
    if hide:
        sys.modules["xformers"] = None  # type: ignore[assignment]
    try:
        import diffusers
        import transformers
    finally:
        if hide:
            del sys.modules["xformers"]
    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    logging.getLogger("transformers").setLevel(logging.ERROR)


def find_class(library: str, name: str) -> Any:
    """The class that a model folder's index names. Raises LookupError where the installed libraries have none."""
    prepare()
    if library in ("diffusers", "transformers"):
        found = getattr(importlib.import_module(library), name, None)
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
