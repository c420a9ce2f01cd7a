"""The rooms of this extension stand on one another: a module imports from its own room and those below, never above."""

from __future__ import annotations

from pathlib import Path

from webui.testing.rooms import wrong_floors

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"vocabulary", "params", "params_editing", "params_talking", "params_mixing", "params_portraits", "accepting"},
    {"networks", "judging"},
    {"finding"},
    {"pixels", "talking", "backends"},
    {"portraits"},
    {"pipelines"},
)


def test_rooms_stand_on_one_another() -> None:
    assert wrong_floors(ROOT, FLOORS) == []
