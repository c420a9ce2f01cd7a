"""Cells: each combination once, in an order in which what is dear changes least, with the seeds that were asked for."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from extensions.sweep.axes import LETTERS, Axis
from extensions.sweep.plan import Plan


def plan_of(lengths: list[int], costs: list[int], vary: str = "") -> Plan:
    axes = tuple(
        Axis(letter, f"p_{letter}", letter.upper(), tuple(range(length)), tuple(map(str, range(length))), cost)
        for letter, length, cost in zip(LETTERS, lengths, costs, strict=False)
    )
    return Plan("dots.draw", {"seed": 2**63 - 2, "steps": 4}, axes, "seed", vary)


LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=3)
COSTS = st.lists(st.integers(0, 3), min_size=3, max_size=3)


@given(LENGTHS, COSTS)
def test_every_combination_is_one_cell(lengths: list[int], costs: list[int]) -> None:
    plan = plan_of(lengths, costs)
    cells = plan.cells()
    assert len({cell.at for cell in cells}) == len(cells) == math.prod(plan.shape)
    indices = [0, *plan.grid_indices, plan.table_index, *(cell.index for cell in cells)]
    assert indices == list(range(plan.total))
    assert len(plan.weights()) == plan.total
    for cell in cells:
        for letter, place in zip(LETTERS, cell.at, strict=True):
            assert cell.params.get(f"p_{letter}", 0) == place


@given(LENGTHS, COSTS)
def test_the_dearest_axis_changes_as_seldom_as_can_be(lengths: list[int], costs: list[int]) -> None:
    plan = plan_of(lengths, costs)
    turns = plan.in_turn(plan.cells())
    assert sorted(cell.index for cell in turns) == [cell.index for cell in plan.cells()]
    dearest = max(plan.axes, key=lambda axis: (axis.cost, LETTERS.index(axis.letter)))
    along = [cell.at[LETTERS.index(dearest.letter)] for cell in turns]
    assert sum(one != two for one, two in pairwise(along)) == len(dearest.values) - 1


@given(LENGTHS, COSTS, st.sampled_from(["", "cells", "x"]))
def test_a_plan_survives_json(lengths: list[int], costs: list[int], vary: str) -> None:
    plan = plan_of(lengths, costs, vary)
    assert Plan.from_json(plan.pipeline, plan.to_json()) == plan


def test_seeds() -> None:
    seeds = {
        vary: [cell.params["seed"] for cell in plan_of([2, 2], [0, 0], vary).cells()] for vary in ("", "cells", "y")
    }
    last = 2**63 - 2
    assert seeds == {"": [last] * 4, "cells": [last, last + 1, 0, 1], "y": [last, last, last + 1, last + 1]}


def test_replacements_come_after_whole_values() -> None:
    replace = Axis("x", "prompt", "Prompt", ("red", "blue"), ("red", "blue"), search="red")
    whole = Axis("y", "prompt", "Prompt", ("a red hat", "red red"), ("a red hat", "red red"))
    texts = [cell.params["prompt"] for cell in Plan("p.p", {}, (replace, whole)).cells()]
    assert texts == ["a red hat", "a blue hat", "red red", "blue blue"]
