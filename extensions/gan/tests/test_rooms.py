"""The rooms of this extension stand on one another: a module imports from its own room and those below, never above."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "extensions.gan"
FLOORS = (
    {"recognise", "recipe", "film", "montage"},
    {"params", "params_editing", "params_training"},
    {"networks", "training"},
    {"formats"},
    {"latents", "tasks"},
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


def modules() -> list[tuple[str, Path]]:
    """(room, module) of all in rooms."""
    paths = [path for path in sorted(ROOT.rglob("*.py")) if len(path.relative_to(ROOT).parts) > 1]
    return [(room, path) for path in paths if (room := path.relative_to(ROOT).parts[0]) != "tests"]


def test_every_room_has_its_floor() -> None:
    rooms = {p.name for p in ROOT.iterdir() if (p / "__init__.py").is_file()} - {"tests"}
    singles = {p.stem for p in ROOT.glob("*.py")} - {"__init__"}
    assert rooms | singles == set(FLOOR)


def test_no_room_imports_from_above_or_beside() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for room, path in modules()
        for other in imported_rooms(path) - {room}
        if FLOOR[other] >= FLOOR[room]
    ]
    assert not wrong


def test_training_knows_no_model() -> None:
    """Another kind of model is trained by it as it is."""
    known = {path.name: imported_rooms(path) for room, path in modules() if room == "training"}
    assert known
    assert not {name for name, rooms in known.items() if rooms - {"training"}}
