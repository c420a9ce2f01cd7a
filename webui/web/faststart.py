"""Imports Gradio for the server, in about two thirds of the time it takes by itself.

Importing it is most of the way to the first answer. What is left out here is work for other purposes than serving, and
nothing that a page, an event or a component does is different for it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


def set_environment(temp_dir: Path) -> None:
    """Variables that Gradio and the hub client read while they are imported. What the user set stays."""
    for name, value in {
        # No request leaves this machine unless the user asks for one.
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # Each event is followed by a summary in pandas for a dashboard that we do not serve; this is its rate, in
        # events.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": "1000000",
        "GRADIO_RUN_HISTORY": "False",
        "GRADIO_TEMP_DIR": str(temp_dir),
    }.items():
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """No garbage collection inside the block. A start makes a million objects that all live on; looking through them
    again and again takes a fifth of the time. Afterwards they are set apart, so that no later collection visits them
    either.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def import_gradio() -> ModuleType:
    """``import gradio`` without writing type stubs.

    At import each component class has Gradio compare, and if need be rewrite, a ``.pyi`` beside its source for
    editors: a third of the whole import, and impossible where site-packages is read-only. The class itself does not
    depend on it.
    """
    if "gradio" in sys.modules:
        return sys.modules["gradio"]
    finder = _AfterLoading("gradio.component_meta", "create_or_modify_pyi", _write_no_stub)
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("gradio")
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


def _write_no_stub(component_class: type, class_name: str, events: list[Any]) -> None:
    """In place of Gradio's function of the same parameters."""


class _AfterLoading(MetaPathFinder):
    """Replaces one function of one module right after that is loaded; changes nothing where there is no such
    function.
    """

    def __init__(self, module: str, function: str, replacement: Any) -> None:
        self._module, self._function, self._replacement = module, function, replacement

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_replace(module: ModuleType) -> None:
                load(module)
                if hasattr(module, self._function):
                    setattr(module, self._function, self._replacement)

            spec.loader.exec_module = load_and_replace  # type: ignore[method-assign]
        return spec
