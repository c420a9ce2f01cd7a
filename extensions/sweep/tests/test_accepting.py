"""What is wrong with a sweep is said at its field before anything runs; what is accepted leaves nothing open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from extensions.sweep.plan import Plan
from webui.testing import Studio, make_studio

Refused = Callable[..., dict[str, str]]


def accepted(studio: Studio, **asked: Any) -> tuple[dict[str, Any], Plan]:
    params = studio.freeze(studio.host.pipelines["sweep.grid"], {"pipeline": "dots.draw", **asked})
    return params, Plan.from_json(params["pipeline"], params["plan"])


@pytest.mark.parametrize(
    ("parameter", "text", "values", "labels"),
    [
        ("steps", "10, 20-30 (+5)", (10, 20, 25, 30), ("10", "20", "25", "30")),
        ("guidance_scale", "1-2 [3]", (1.0, 1.5, 2.0), ("1", "1.5", "2")),
        ("width", "64-128 [4]", (64, 88, 104, 128), ("64", "88", "104", "128")),
        ("tiling", "all", (True, False), ("yes", "no")),
        ("sampler", "all", ("euler", "heun"), ("Euler", "Heun's")),
        ("sampler", "heun's, EULER", ("heun", "euler"), ("Heun's", "Euler")),
        ("Sampler", "heun", ("heun",), ("Heun's",)),
        ("prompt", "a cat, sitting\na dog", ("a cat, sitting", "a dog"), ("a cat, sitting", "a dog")),
        ("seed", "5-7", (5, 6, 7), ("5", "6", "7")),
        ("model", "all", ("starter/avatar",), ("avatar",)),
        ("model", "avatar", ("starter/avatar",), ("avatar",)),
    ],
)
def test_values_are_those_of_the_parameters_kind(
    studio: Studio, parameter: str, text: str, values: tuple[Any, ...], labels: tuple[str, ...]
) -> None:
    _, plan = accepted(studio, x=parameter, x_values=text)
    assert (plan.axes[0].values, plan.axes[0].labels) == (values, labels)


def test_nothing_is_left_open(studio: Studio) -> None:
    params, plan = accepted(
        studio, params='{"prompt": "a hill"}', x="seed", x_values="-1, -1", y="steps", y_values="1,2"
    )
    assert len(set(plan.axes[0].values)) == 2
    assert min(plan.axes[0].values) >= 0
    assert plan.base["model"] == "starter/avatar"
    assert "guidance_scale" not in plan.base  # automatic: each model's own
    assert params["params"] == {"prompt": "a hill"}
    params, plan = accepted(studio, x="steps", x_values="1,2")
    assert params["params"] == {"seed": plan.base["seed"]}
    assert plan.base["seed"] >= 0


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        ({}, "x", "expected the parameter that differs"),
        ({"x_values": "1"}, "x", "expected the parameter that these values are of"),
        ({"x": "step", "x_values": "1"}, "x", "did you mean 'steps'?"),
        ({"x": "several", "x_values": "1"}, "x", "cannot be an axis"),
        ({"x": "steps"}, "x_values", "such as 10, 20, 30 or 1-10 (+3)"),
        ({"x": "steps", "x_values": "1, many"}, "x_values", "expected a whole number, or a range"),
        ({"x": "steps", "x_values": "10, 99, 120"}, "x_values", "99: expected at most 50"),
        ({"x": "steps", "x_values": "99"}, "x_values", "99: expected at most 50"),
        ({"x": "width", "x_values": "64, 65"}, "x_values", "65: expected a multiple of 8"),
        ({"x": "model", "x_values": "avatar, no-such-model"}, "x_values", "no-such-model: "),
        ({"x": "sampler", "x_values": "euler, ddim"}, "x_values", "expected all, or some of euler, heun (got ddim)"),
        ({"x": "tiling", "x_values": "maybe"}, "x_values", "expected true, false or all (got maybe)"),
        ({"x": "start", "x_values": "artifact:nothing-1"}, "x_values", "artifact:nothing-1: "),
        ({"x": "steps", "x_values": "1", "y": "steps", "y_values": "2"}, "y", "expected another parameter"),
        ({"x": "steps", "x_values": "1-40", "y": "seed", "y_values": "1-40"}, "y_values", "40 × 40 = 1600"),
        ({"x": "seed", "x_values": "1-1001"}, "x_values", "expected at most 1000 values"),
        ({"x": "steps", "x_mode": "replace", "x_values": "1"}, "x_mode", "only texts can be searched"),
        (
            {"x": "prompt", "x_mode": "replace", "x_values": "cat, dog"},
            "x_values",
            "expected a first value that stands in",
        ),
        ({"x": "steps", "x_values": "1", "vary_seed": "y"}, "vary_seed", "no Y axis is given"),
        ({"x": "seed", "x_values": "1-3", "vary_seed": "cells"}, "vary_seed", "the seed is an axis"),
        ({"x": "steps", "x_values": "1", "params": {"stepz": 1}}, "params", "stepz: there is no such parameter"),
        ({"x": "steps", "x_values": "1", "params": {"height": 1}}, "params", "height: expected a multiple of 8"),
        ({"x": "steps", "x_values": "1", "pipeline": "dots.none"}, "pipeline", "expected one of"),
        ({"x": "steps", "x_values": "1", "pipeline": "dots.write"}, "pipeline", "makes pictures or numbers"),
        ({"x": "x", "x_values": "1", "pipeline": "sweep.grid"}, "pipeline", "and runs no other"),
    ],
)
def test_errors_stand_at_their_field(refused: Refused, asked: dict[str, Any], field: str, says: str) -> None:
    said = refused(**asked)
    assert list(said) == [field]
    assert says in said[field]


def test_every_wrong_axis_is_named_at_once(refused: Refused) -> None:
    assert set(refused(x="steps", x_values="a", y="tiling", y_values="b", z="no", z_values="c")) == {
        "x_values",
        "y_values",
        "z",
    }


def test_a_setting_bounds_the_cells(tmp_path: Any, studio: Studio) -> None:
    small = make_studio(
        tmp_path, extensions_dirs=studio.settings.extensions_dirs, extensions={"sweep": {"max_cells": 3}}
    )
    accepted(small, x="steps", x_values="1-3")
    with pytest.raises(Exception, match="expected at most 3 values"):
        accepted(small, x="steps", x_values="1-4")
