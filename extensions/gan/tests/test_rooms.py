"""The rooms of this extension stand on one another: a module imports from its own room and those below, never above."""

from __future__ import annotations

from pathlib import Path

from webui.testing.rooms import imported_rooms, modules_of, wrong_floors

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"recognise", "recipe", "film", "montage"},
    {"params", "params_editing", "params_training"},
    {"networks", "training"},
    {"formats"},
    {"latents", "tasks"},
    {"pipelines"},
)


def test_rooms_stand_on_one_another() -> None:
    assert wrong_floors(ROOT, FLOORS) == []


def test_training_knows_no_model() -> None:
    """Another kind of model is trained by it as it is."""
    known = {path.name: imported_rooms(ROOT, path) for room, path in modules_of(ROOT) if room == "training"}
    assert known
    assert not {name for name, rooms in known.items() if rooms - {"training"}}
