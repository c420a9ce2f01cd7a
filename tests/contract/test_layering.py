"""The floors of the house, read from the imports: a room imports only from floors below its own."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FLOORS = {
    "webui.cli": 6,
    "webui.app": 4,
    "webui.testing": 5,
    "webui.web": 3,
    "webui.engine": 3,
    "webui.accounts": 2,
    "webui.library": 2,
    "webui.queue": 2,
    "webui.plugins": 2,
    "webui.catalog": 2,
    "webui.api": 2,
    "webui.core": 1,
}
SAME_FLOOR_ALLOWED = {("webui.plugins", "webui.api")}
"""The host reads the hooks from the face that it offers; both stand on floor 2, and the face imports core alone."""

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "xformers", "accelerate", "peft")


@functools.cache
def imports_of(path: Path) -> tuple[tuple[str, int], ...]:
    """Every module that ``path`` imports; parsed once for all that ask."""
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that ``path`` imports, absolute, with its line; imports for the type checker alone are left out."""
    package = path.relative_to(ROOT).with_suffix("").parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            skipped.update(child for inner in node.body for child in ast.walk(inner))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: -node.level] if path.name != "__init__.py" else package[: len(package) - node.level])
            prefix = ".".join(base) + "." if node.level else ""
            module = (prefix + (node.module or "")).strip(".")
            yield module, node.lineno
            for alias in node.names:
                yield f"{module}.{alias.name}", node.lineno


def room_of(module: str) -> str | None:
    parts = module.split(".")
    name = ".".join(parts[:2])
    return name if parts[0] == "webui" and name in FLOORS else None


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def top(module: str) -> str:
    return module.split(".")[0]


def test_no_arrow_goes_up_or_sideways() -> None:
    wrong = []
    for path in sources("webui"):
        room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if room is None:
            assert path == ROOT / "webui" / "__init__.py", f"{path} stands in no room of the plan"
            continue
        for module, line in imports_of(path):
            other = room_of(module)
            if other is None or other == room or (room, other) in SAME_FLOOR_ALLOWED:
                continue
            if FLOORS[other] >= FLOORS[room]:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {room} (floor {FLOORS[room]}) imports {module}")
            if module.startswith("extensions"):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: the host imports an extension")
    assert not wrong, "\n".join(wrong)


def test_gradio_stays_in_the_web_room() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources("webui", "extensions")
        if ROOT / "webui" / "web" not in path.parents and path.name != "tab.py" and "tests" not in path.parts
        for module, line in imports_of(path)
        if top(module) == "gradio"
    ]
    assert not wrong, wrong


def test_torch_stays_with_the_engine_and_the_pipelines() -> None:
    wrong = []
    for path in sources("webui", "extensions"):
        relative = path.relative_to(ROOT)
        if "tests" in relative.parts:
            continue
        light = (relative.parts[0] == "webui" and relative.parts[1] != "engine") or (
            relative.parts[0] == "extensions" and len(relative.parts) == 3 and path.name in ("__init__.py", "params.py")
        )
        for module, line in imports_of(path):
            if light and top(module) in HEAVY:
                wrong.append(f"{relative}:{line}: {module}")
            if relative.parts[:2] == ("webui", "engine") and top(module) in ("diffusers", "transformers"):
                wrong.append(f"{relative}:{line}: {module}: a model library belongs in an extension")
    assert not wrong, wrong


@pytest.mark.parametrize(
    "extension", sorted(path.parent.name for path in (ROOT / "extensions").glob("*/extension.toml"))
)
def test_an_extension_knows_the_api_and_itself_alone(extension: str) -> None:
    wrong = []
    for path in sources(f"extensions/{extension}"):
        in_tests = "tests" in path.relative_to(ROOT).parts
        for module, line in imports_of(path):
            if module == "webui" or (in_tests and module.startswith("webui.testing")):
                continue
            if top(module) == "webui" and not module.startswith("webui.api"):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {module}")
            if (
                top(module) == "extensions"
                and module != "extensions"
                and not f"{module}.".startswith(f"extensions.{extension}.")
            ):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {module}: name the other's pipeline by id")
    assert not wrong, wrong


def test_nothing_catches_everything_unnamed() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("webui", "extensions")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare, bare
