"""Which imports of an extension break the order of its rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.testing.rooms import imported_rooms, wrong_floors

FLOORS = ({"params"}, {"networks", "tasks", "codec"}, {"pipelines"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    for path in (
        "networks/__init__.py",
        "networks/layers.py",
        "tasks/draw.py",
        "pipelines/make.py",
        "tests/test_it.py",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    for single in ("__init__", "params", "codec"):
        (folder / f"{single}.py").touch()
    (folder / "__init__.py").write_text("from .pipelines import make", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("path", "source", "other"),
    [
        ("params.py", "from .codec import pack", "codec"),
        ("params.py", "from . import codec", "codec"),
        ("networks/layers.py", "from extensions.toy.pipelines.make import Make", "pipelines"),
        ("networks/layers.py", "import extensions.toy.pipelines.make", "pipelines"),
        ("networks/layers.py", "def late():\n    from ..tasks import draw", "tasks"),
        ("networks/layers.py", "from .. import codec", "codec"),
        ("codec.py", "from extensions.toy import networks", "networks"),
    ],
)
def test_imports_from_above_and_beside_are_told(root: Path, path: str, source: str, other: str) -> None:
    (root / path).write_text(source, encoding="utf-8")
    assert wrong_floors(root, FLOORS) == [f"{path} imports {other}"]


def test_imports_from_below_and_of_its_own_room_are_right(root: Path) -> None:
    path = root / "networks" / "__init__.py"
    path.write_text(
        "import os\nfrom .layers import Layer\nfrom ..params import P\nfrom webui.api import Params", "utf-8"
    )
    assert imported_rooms(root, path) == {"networks", "params"}
    assert wrong_floors(root, FLOORS) == []


def test_every_room_has_a_floor_and_every_floor_a_room(root: Path) -> None:
    wrong = wrong_floors(root, ({"params"}, {"networks", "tasks"}, {"pipelines", "attic"}))
    assert wrong == ["codec has no floor", "attic is not there"]
