"""A real application on a folder of its own, with the browser tests' extension; nothing is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web_ui.loops import closed_loops
from webui.app import build_services
from webui.core.settings import ROOT, Settings
from webui.web.faststart import import_gradio
from webui.web.services import Services

SKETCH = ROOT / "tests" / "browser" / "extensions"


@pytest.fixture(autouse=True)
def _closed_loops() -> Iterator[None]:
    with closed_loops():
        yield


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """With every kind of widget declared by the extension ``sketch``."""
    folder: Path = tmp_path_factory.mktemp("application")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        with closed_loops():
            import_gradio()
        settings = Settings(data_dir=folder / "data", models_dirs=(folder / "models",), extensions_dirs=(SKETCH,))
        built = build_services(settings)
        yield built
        built.library.close()
