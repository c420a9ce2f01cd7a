"""The rooms of this extension stand on one another: a module imports from its own room and those below, never above."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "extensions.faces"
FLOORS = (
    {"vocabulary", "params", "params_editing", "params_talking", "params_mixing", "accepting"},
    {"networks", "judging"},
    {"finding"},
    {"pixels", "talking"},
    {"pipelines"},
)
FLOOR = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}


def imported_rooms(path: Path) -> set[str]:
    """The rooms of the extension that a module names, its own included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
            rest = (node.module or "").split(".")[2:]
            found |= {rest[0]} if rest else {alias.name for alias in node.names}
    return found


def test_every_room_has_its_floor() -> None:
    rooms = {p.name for p in ROOT.iterdir() if (p / "__init__.py").is_file()} - {"tests"}
    modules = {p.stem for p in ROOT.glob("*.py")} - {"__init__"}
    assert rooms | modules == set(FLOOR)


def test_no_room_imports_from_above_or_beside() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        inner = path.relative_to(ROOT).parts
        if inner[0] == "tests" or len(inner) == 1:
            continue
        for room in imported_rooms(path) - {inner[0]}:
            if FLOOR[room] >= FLOOR[inner[0]]:
                wrong.append(f"{'/'.join(inner)} imports {room}")
    assert not wrong
