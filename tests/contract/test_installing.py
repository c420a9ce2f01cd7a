"""Code is installed by a person at the command line alone: neither a route nor a control of the page leads there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.contract.test_layering import ROOT, imports_of, sources
from webui.app import build_services
from webui.core.settings import Settings
from webui.web.access import AccessPolicy
from webui.web.application import create_app

INSTALLS = "webui.cli.extending"
HERE = ROOT / "webui" / "cli"


def test_only_the_command_line_knows_the_installer() -> None:
    knows = {
        str(path.relative_to(ROOT))
        for path in sources("webui", "extensions")
        if HERE / "extending" not in path.parents and "extending" in path.read_text(encoding="utf-8")
        for module, _ in imports_of(path)
        if f"{module}.".startswith(f"{INSTALLS}.")
    }
    assert knows == {"webui/cli/ext.py"}


def test_nothing_that_serves_runs_pip() -> None:
    """Not by its module, nor by its name in a list of words that a process is started with."""
    wrong = []
    for path in sources("webui", "extensions"):
        if HERE / "extending" in path.parents or "tests" in path.relative_to(ROOT).parts:
            continue
        if '"pip"' not in path.read_text(encoding="utf-8") and "import pip" not in path.read_text(encoding="utf-8"):
            continue
        if any(module.split(".")[0] in ("pip", "ensurepip") for module, _ in imports_of(path)):
            wrong.append(str(path.relative_to(ROOT)))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value in ("pip", "ensurepip"):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, wrong


def test_no_route_and_no_command_of_the_page_installs(tmp_path: Path) -> None:
    services = build_services(Settings(data_dir=tmp_path))
    app = create_app(services, AccessPolicy(), page=False)
    services.library.close()
    operations = [
        f"{method} {path} {operation.get('operationId', '')} {operation.get('summary', '')}".lower()
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
    ]
    assert operations
    assert not [one for one in operations if "install" in one or "pip" in one.replace("pipeline", "")]
    changes = {one.split()[0] + " " + one.split()[1] for one in operations if "/extensions" in one}
    assert changes == {"get /api/v1/extensions", "patch /api/v1/extensions/{extension}"}  # a wish for the next start


@pytest.mark.parametrize("name", ["extensions", "extensions/.installed", "extensions/sub"])
def test_no_request_names_a_folder_that_code_is_loaded_from(tmp_path: Path, name: str) -> None:
    from webui.core.errors import ParameterError

    settings = Settings(data_dir=tmp_path)
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(ParameterError, match="expected a folder"):
        settings.requested_folder(name, {})
