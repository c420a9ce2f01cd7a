"""What a sweep takes, declared once; light, read by the web process."""

from __future__ import annotations

from typing import Any

from webui.api import (
    ParameterValues,
    Params,
    boolean,
    choice,
    dynamic_choice,
    dynamic_choices,
    file,
    folder,
    image,
    integer,
    parameters,
    prompt,
    record,
)

MODES = {"values": "Values", "replace": "Search and replace"}
SCORES = "Scores"
REAL_HELP = "A folder or a .zip; or drawn:avatar, collection:NAME, dataset:celeba, statistics (.npz)"
VALUES_HELP = "10, 20, 30; 1-10 (+3); 0.5-1 [6]; all; one a line where values hold commas"


def _parameter(axis: str, of: str) -> Any:
    return dynamic_choice("", "parameters", label="Parameter", group=axis, of=of)


def _mode(axis: str) -> Any:
    help_ = "Search and replace: the first value is sought in the text, and each takes its place"
    return choice("values", MODES, label="What the values do", group=axis, help=help_)


def _values(axis: str) -> Any:
    return prompt(label="Values", rows=2, tokens=False, group=axis, help=VALUES_HELP)


class SweepParams(Params):
    """Parameters of sweep.grid."""

    pipeline: str = dynamic_choice("diffusion.txt2img", "pipelines:image|scalar", label="Pipeline")
    params: ParameterValues = parameters(
        "pipeline",
        label="Its parameters",
        help="What is the same in all cells, as JSON; the others have their defaults",
    )
    x: str = _parameter("X axis: columns", "pipeline")
    x_mode: str = _mode("X axis: columns")
    x_values: str = _values("X axis: columns")
    y: str = _parameter("Y axis: rows", "pipeline")
    y_mode: str = _mode("Y axis: rows")
    y_values: str = _values("Y axis: rows")
    z: str = _parameter("Z axis: grids", "pipeline")
    z_mode: str = _mode("Z axis: grids")
    z_values: str = _values("Z axis: grids")
    vary_seed: str = choice(
        "no",
        {
            "no": "One seed for all",
            "cells": "Another in each cell",
            "x": "Another in each column",
            "y": "Another in each row",
            "z": "Another in each grid",
        },
        label="Seeds",
        help="With one seed for all, cells differ by their axes alone",
    )
    pictures: int = integer(
        1,
        minimum=1,
        maximum=100_000,
        label="Pictures of a cell",
        help="With seeds from the cell's own on; distances of sets want hundreds",
        group=SCORES,
    )
    prompts: str | None = file(
        label="Prompts",
        group=SCORES,
        accept=(".txt", ".jsonl"),
        help="One a line, for one picture each, the same in every cell; or the metadata.jsonl of a data set",
    )
    scores: tuple[str, ...] = dynamic_choices(
        "measures", label=SCORES, group=SCORES, help="Taken of each cell's pictures: columns of the table, and plots"
    )
    real: str = folder(label="Real pictures", group=SCORES, help=f"For distances of sets. {REAL_HELP}")
    reference: str | None = image(
        label="Reference", group=SCORES, help="What every picture should be, for SSIM and LPIPS"
    )
    references: str = folder(
        label="Or references", group=SCORES, help="A folder with one for each picture of a cell, in their order"
    )
    keep: int = integer(
        4,
        minimum=1,
        maximum=100,
        label="Pictures kept of a cell",
        help="In the gallery and in the grid; the others are measured and forgotten",
        group=SCORES,
        advanced=True,
    )
    labels: bool = boolean(True, label="Labels", group="Grid", advanced=True)
    margin: int = integer(
        8, minimum=0, maximum=256, label="Margin", help="Pixels between cells", group="Grid", advanced=True
    )
    cell_size: int = integer(
        0,
        minimum=0,
        maximum=4096,
        label="Cell size",
        help="Longest edge of a cell in pixels; 0 is the size of the pictures, if the grid stays within its limit",
        group="Grid",
        advanced=True,
    )
    plan: Any = record(None, label="The axes as they were understood")


class SweepSettings(Params):
    """Settings of the extension."""

    max_cells: int = integer(1000, minimum=1, maximum=100_000, label="Most cells", help="A larger sweep is refused")
    max_grid_megapixels: int = integer(
        32, minimum=1, maximum=256, label="Largest grid", help="In megapixels; cells of a larger one are made smaller"
    )
