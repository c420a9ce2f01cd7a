"""Tiny models and a studio around them, shared by the tests of the extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from extensions.diffusion.tests import tiny_models
from webui.testing import Outcome, Studio, make_studio, run_pipeline


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """diffusers hands tensors to NumPy in a way that newer NumPy warns of, and uses names that it calls deprecated
    itself; that is theirs to mend.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for words in (r"__array\w*__ :DeprecationWarning", "`(FluxPosEmbed|callback_steps)` is:FutureWarning"):
                item.add_marker(pytest.mark.filterwarnings("ignore:" + words))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors are faster on one thread, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def tiny(models_dir: Path) -> Callable[[str], Path]:
    """The folder of a tiny model of a family, made at the first question."""
    made: dict[str, Path] = {}

    def make(family: str) -> Path:
        if family not in made:
            made[family] = getattr(tiny_models, family)(models_dir / "diffusers" / family)
        return made[family]

    return make


@pytest.fixture(scope="session")
def studio(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return make_studio(tmp_path_factory.mktemp("data"), models_dirs=[models_dir], preview_interval_s=0.0, offline=True)


@pytest.fixture
def generate(
    tiny: Callable[[str], Path], studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run txt2img on a tiny model: ``generate("sd1", seed=5)``."""
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)

    def run(family: str, *, how: dict[str, Any] | None = None, **params: Any) -> Outcome:
        model = {"model": f"diffusers/{family}"} if hasattr(tiny_models, family) else {}
        if model:
            tiny(family)
        studio.catalog.refresh()
        asked = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, **model, **params}
        return run_pipeline("diffusion.txt2img", asked, tmp_path, studio=studio, **(how or {}))

    return run
