"""Scores of a sweep stand below its plan and its report: they know cells and axes by numbers alone."""

from __future__ import annotations

from pathlib import Path

from webui.testing.rooms import wrong_floors

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    {"values", "lettering", "params", "prompts"},
    {"axes", "grid"},
    {"scores"},
    {"plan"},
    {"cell_pictures", "results", "accepting"},
    {"report"},
    {"sweep"},
)


def test_rooms_stand_on_one_another() -> None:
    assert wrong_floors(ROOT, FLOORS) == []
