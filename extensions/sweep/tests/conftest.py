"""Sweeps over a pipeline of the test's own, run as the application runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from webui.api import ParameterError
from webui.testing import Outcome, Studio, make_studio, run_pipeline

HERE = Path(__file__).resolve().parent
DIRS = [HERE.parents[1], HERE / "extensions"]


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("sweep"), extensions_dirs=DIRS)


@pytest.fixture(scope="session")
def sweep(studio: Studio) -> Callable[..., Outcome]:
    """Run a sweep over ``dots.draw``: ``params`` are its common parameters, all else the sweep's own."""

    def run(params: dict[str, Any] | None = None, **asked: Any) -> Outcome:
        inner = {"prompt": "red dots on a hill", "seed": 7, "width": 32, "guidance_scale": 7, **(params or {})}
        how = {name: asked.pop(name) for name in ("cancel_when", "job") if name in asked}
        said = {"pipeline": "dots.draw", "params": inner, **asked}
        return run_pipeline("sweep.grid", said, studio.settings.data_dir, studio=studio, **how)

    return run


@pytest.fixture(scope="session")
def refused(studio: Studio) -> Callable[..., dict[str, str]]:
    """What is said of a sweep that is refused, by field."""

    def ask(params: Any = None, **asked: Any) -> dict[str, str]:
        said = {"pipeline": "dots.draw", "params": params or {}, **asked}
        with pytest.raises(ParameterError) as caught:
            studio.freeze(studio.host.pipelines["sweep.grid"], said)
        fields = caught.value.fields
        return {one.name: "; ".join(str(field) for field in fields if field.name == one.name) for one in fields}

    return ask
