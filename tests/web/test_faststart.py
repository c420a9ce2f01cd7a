"""The quick import of Gradio: nothing is missing afterwards, and nothing was written into site-packages."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

from webui.core.settings import ROOT
from webui.web import faststart

COMPARE = """
import json, sys
from pathlib import Path
from webui.web import faststart
faststart.set_environment(Path(sys.argv[1]))
finders = list(sys.meta_path)
gradio = faststart.import_gradio()
stubs = [path for path in Path(gradio.__file__).parent.rglob("*.pyi") if path.stat().st_mtime > float(sys.argv[2])]
with gradio.Blocks() as page:
    box = gradio.Textbox()
    box.submit(lambda text: text, box, box)
print(json.dumps({
    "finders": sys.meta_path == finders,
    "again": faststart.import_gradio() is gradio,
    "written": [str(path) for path in stubs],
    "events": len(page.fns),
    "temp": box.GRADIO_CACHE,
    "missing": [name for name in gradio.__all__ if not hasattr(gradio, name)],
}))
"""


def test_gradio_is_whole_and_wrote_no_stubs(tmp_path: Path) -> None:
    began = tmp_path.stat().st_mtime
    environment = {name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"}
    command = [sys.executable, "-c", COMPARE, str(tmp_path), str(began)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said == {
        "finders": True, "again": True, "written": [], "events": 1, "temp": str(tmp_path), "missing": [],
    }  # fmt: skip


def test_a_function_that_is_not_there_is_not_put_there(tmp_path: Path) -> None:
    (tmp_path / "a_light_module.py").write_text("def kept():\n    return 'kept'\n")
    sys.path.insert(0, str(tmp_path))
    finder = faststart._AfterLoading("a_light_module", "renamed_since", lambda: "replaced")
    sys.meta_path.insert(0, finder)
    try:
        import a_light_module  # type: ignore[import-not-found]

        assert a_light_module.kept() == "kept"
        assert not hasattr(a_light_module, "renamed_since")
        assert finder not in sys.meta_path
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("a_light_module", None)


def test_the_collector_is_as_before_afterwards() -> None:
    assert gc.isenabled()
    try:
        with faststart.without_collector():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
