"""From the sources of an extension to what its rooms import, for tests that hold which room stands on which.

A large extension is laid out in rooms: folders of modules and single modules, each on a floor. A module imports from
its own room and from the floors below; single modules may import others of their floor.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path


def modules_of(root: Path) -> Iterator[tuple[str, Path]]:
    """(room, module) of an extension's folder, tests and its own ``__init__`` left out; a single module is a room."""
    for path in sorted(root.rglob("*.py")):
        inner = path.relative_to(root).with_suffix("").parts
        if inner[0] not in ("tests", "__init__"):
            yield inner[0], path


def imported_rooms(root: Path, path: Path) -> set[str]:
    """The rooms of the extension in ``root`` that a module names, its own included. Raises SyntaxError."""
    package = ("extensions", root.name)
    here = (*package, *path.relative_to(root).parent.parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = here[: len(here) - node.level + 1] if node.level else ()
            module = (*start, *(node.module.split(".") if node.module else ()))
            names = [(*module, alias.name) for alias in node.names]
        found |= {name[2] for name in names if name[:2] == package and len(name) > 2}
    return found


def wrong_floors(root: Path, floors: Sequence[Collection[str]]) -> list[str]:
    """What breaks the rule: rooms without a floor and floors without a room, then imports from above or beside.
    ``floors`` begins with the lowest.
    """
    floor = {room: height for height, rooms in enumerate(floors) for room in rooms}
    modules = list(modules_of(root))
    rooms = {room for room, _ in modules}
    wrong = [f"{room} has no floor" for room in sorted(rooms - set(floor))]
    wrong += [f"{room} is not there" for room in sorted(set(floor) - rooms)]
    folders = {room for room, path in modules if path.parent != root}
    for room, path in modules:
        for other in sorted(imported_rooms(root, path) - {room}):
            if room not in floor or other not in floor:
                continue
            beside = floor[other] == floor[room] and bool({room, other} & folders)
            if floor[other] > floor[room] or beside:
                wrong.append(f"{path.relative_to(root).as_posix()} imports {other}")
    return wrong
