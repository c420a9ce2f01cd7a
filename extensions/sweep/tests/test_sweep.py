"""A sweep as the application runs it: grids of the very pictures, each with its own recipe, whatever happens midway."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops

from extensions.sweep.grid import Grid, Headings, Look
from extensions.sweep.plan import Plan
from extensions.sweep.tests.conftest import DIRS
from webui.api import Job
from webui.testing import Outcome, Studio, run_pipeline

Run = Callable[..., Outcome]
TWO = {"x": "steps", "x_values": "2, 3, 4", "y": "sampler", "y_values": "all"}


def plan_of(outcome: Outcome) -> Plan:
    return Plan.from_json(outcome.job.params["pipeline"], outcome.job.params["plan"])


def files(outcome: Outcome) -> dict[int, Path]:
    """What is on disk of the job, by index."""
    found = outcome.studio.files.find_job(outcome.job)
    return {record.index: outcome.studio.files.path_of(record) for record in found}


def rows(outcome: Outcome) -> list[dict[str, str]]:
    with files(outcome)[plan_of(outcome).table_index].open(newline="") as file:
        return list(csv.DictReader(file))


def same(one: Image.Image, two: Image.Image) -> bool:
    return one.size == two.size and ImageChops.difference(one.convert("RGB"), two.convert("RGB")).getbbox() is None


@pytest.fixture(scope="module")
def undisturbed(sweep: Run) -> Outcome:
    return sweep(**TWO)


def test_the_grid_shows_the_very_pictures(undisturbed: Outcome) -> None:
    assert undisturbed.state == "done", undisturbed.error
    assert undisturbed.warnings == []
    plan = plan_of(undisturbed)
    made = files(undisturbed)
    assert sorted(made) == list(range(plan.total))
    headings = Headings("", "Steps", ["2", "3", "4"], "Sampler", ["Euler", "Heun's"])
    layout = Grid(3, 2, headings, Look((32, 32), 8))
    with Image.open(made[0]) as grid:
        assert grid.size == layout.size
        for cell in plan.cells():
            with Image.open(made[cell.index]) as picture:
                assert same(grid.crop(layout.box(cell.at[:2])), picture)


def test_each_picture_is_what_its_pipeline_makes_alone(undisturbed: Outcome, studio: Studio, tmp_path: Path) -> None:
    plan = plan_of(undisturbed)
    cell = plan.cells()[4]
    described = studio.files.describe(files(undisturbed)[cell.index].relative_to(studio.files.root).as_posix())
    assert described is not None
    recipe = described.recipe
    assert recipe is not None
    assert (recipe.pipeline, recipe.index, recipe.seed) == ("dots.draw", 0, 7)
    assert (recipe.params["steps"], recipe.params["sampler"], recipe.params["guidance_scale"]) == (3, "heun", 7.0)
    assert recipe.extensions == {"dots": "1.0"}
    assert described.record.title == "Steps 3, Sampler Heun's"
    alone = run_pipeline("dots.draw", recipe.params, tmp_path, studio=studio)
    with Image.open(files(undisturbed)[cell.index]) as picture:
        assert same(picture, alone.images[0])


def test_the_table_has_a_row_a_cell(undisturbed: Outcome) -> None:
    table = rows(undisturbed)
    assert [(row["steps"], row["sampler"]) for row in table] == [(s, m) for m in ("euler", "heun") for s in "234"]
    assert {row["state"] for row in table} == {"done"}
    assert {row["seed"] for row in table} == {"7"}
    assert all(0 <= float(row["seconds"]) < 60 for row in table)
    assert [int(row["cell"]) for row in table] == [cell.index for cell in plan_of(undisturbed).cells()]


def test_progress_covers_all_cells(undisturbed: Outcome) -> None:
    plan = plan_of(undisturbed)
    fractions = [one.fraction for one in undisturbed.progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert {one.images for one in undisturbed.progress} == {plan.total}
    first_done = next(one for one in undisturbed.progress if one.image == 1)
    assert first_done.fraction == pytest.approx(plan.weights()[2] / sum(plan.weights()), abs=1e-6)


def test_three_axes_make_a_grid_for_each_z_and_an_overview(sweep: Run) -> None:
    outcome = sweep(x="steps", x_values="2,3", z="prompt", z_mode="replace", z_values="red, blue, green")
    plan = plan_of(outcome)
    made = files(outcome)
    assert list(plan.grid_indices) == [1, 2, 3]
    titles = {record.index: record.title for record in outcome.records}
    assert [titles[index] for index in range(5)] == [
        "Steps (2) × Prompt (3)",
        "Prompt: red",
        "Prompt: blue",
        "Prompt: green",
        "Cells",
    ]
    with Image.open(made[0]) as overview, Image.open(made[2]) as single:
        width, height = single.size
        assert overview.width % width == 0
        columns = overview.width // width
        left, top = 1 % columns * width, 1 // columns * height
        assert same(overview.crop((left, top, left + width, top + height)), single)
    prompts = {cell.params["prompt"] for cell in plan.cells()}
    assert prompts == {"red dots on a hill", "blue dots on a hill", "green dots on a hill"}


def test_a_failed_cell_costs_the_others_nothing(sweep: Run) -> None:
    outcome = sweep({"fault": "raise blue"}, x="prompt", x_values="red\nblue\ngreen")
    assert outcome.state == "done"
    assert outcome.warnings == ["1 of 3 cells failed; the first, Prompt blue: no ink is left"]
    assert [row["state"] for row in rows(outcome)] == ["done", "failed", "done"]
    assert rows(outcome)[1]["error"] == "no ink is left"
    assert sorted(files(outcome)) == [0, 1, 2, 4]


def test_where_every_cell_fails_the_job_does(sweep: Run) -> None:
    outcome = sweep({"fault": "raise"}, x="steps", x_values="1,2")
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert outcome.error.message == "none of the 2 cells could be made; the first, Steps 1: no ink is left"


def test_seeds_vary_on_request(sweep: Run) -> None:
    assert [row["seed"] for row in rows(sweep(x="steps", x_values="2,3", vary_seed="cells"))] == ["7", "8"]
    outcome = sweep(x="steps", x_values="2,3", y="tiling", y_values="all", vary_seed="y")
    assert [row["seed"] for row in rows(outcome)] == ["7", "7", "8", "8"]


def test_numbers_become_columns(sweep: Run) -> None:
    outcome = sweep(pipeline="dots.count", x="steps", x_values="2,5")
    assert outcome.state == "done", outcome.error
    assert [(row["dots"], row["share.lit"], row["state"]) for row in rows(outcome)] == [
        ("4.0", "0.5", "done"),
        ("10.0", "0.5", "done"),
    ]
    assert "words" not in rows(outcome)[0]


def test_cells_of_other_sizes_are_centred(sweep: Run) -> None:
    outcome = sweep(x="width", x_values="32, 64", labels=False, margin=0)
    made = files(outcome)
    with Image.open(made[0]) as grid, Image.open(made[2]) as narrow, Image.open(made[3]) as wide:
        assert grid.size == (128, 32)
        assert same(grid.crop((16, 0, 48, 32)), narrow)
        assert same(grid.crop((64, 0, 128, 32)), wide)
    outcome = sweep(x="width", x_values="32, 64", labels=False, margin=0, cell_size=16)
    with Image.open(files(outcome)[0]) as grid:
        assert grid.size == (32, 8)


# Interrupted


def compare(whole: Outcome, resumed: Outcome) -> None:
    """Every picture of both, byte by byte, and the tables but for their times."""
    one, two = files(whole), files(resumed)
    assert sorted(one) == sorted(two)
    for index in one:
        if index != plan_of(whole).table_index:
            assert one[index].read_bytes() == two[index].read_bytes(), index
    for left, right in zip(rows(whole), rows(resumed), strict=True):
        assert {**left, "seconds": ""} == {**right, "seconds": ""}
        assert float(right["seconds"]) >= 0


def test_a_stopped_sweep_shows_what_there_is_and_goes_on(sweep: Run, undisturbed: Outcome) -> None:
    stopped = sweep(**TWO, cancel_when=lambda outcome: len(outcome.records) == 2)
    assert stopped.state == "cancelled"
    assert [record.index for record in stopped.records] == [2, 3, 0, 1]
    assert [row["state"] for row in rows(stopped)] == ["done"] * 2 + ["missing"] * 4
    resumed = sweep(job=stopped.job)
    assert resumed.state == "done"
    assert [record.index for record in resumed.records] == [4, 5, 6, 7, 0, 1]
    compare(undisturbed, resumed)


DYING = {"prompt": "red", "seed": 7, "width": 32, "guidance_scale": 7, "fault": "die blue"}


def dying(studio: Studio, params: dict[str, Any]) -> Job:
    raw = {"pipeline": "dots.draw", "params": params, "x": "prompt", "x_values": "red\nblue\ngreen"}
    return Job(pipeline="sweep.grid", params=studio.freeze(studio.host.pipelines["sweep.grid"], raw))


def test_a_killed_worker_loses_one_cell_which_is_tried_last(sweep: Run, studio: Studio, tmp_path: Path) -> None:
    """The first attempt runs in a process of its own, which the second cell ends."""
    job = dying(studio, DYING)
    (tmp_path / "job.json").write_text(job.model_dump_json())
    attempt = [
        sys.executable,
        "-c",
        ATTEMPT,
        str(studio.settings.data_dir),
        str(tmp_path / "job.json"),
        *map(str, DIRS),
    ]
    environment = {**os.environ, "PYTHONPATH": str(DIRS[0].parent)}
    assert subprocess.run(attempt, env=environment, cwd=tmp_path, timeout=300, check=False).returncode == 9
    assert [record.index for record in studio.files.find_job(job)] == [2]
    resumed = sweep(job=job)
    assert [record.index for record in resumed.records] == [4, 3, 0, 1]
    assert [row["state"] for row in rows(resumed)] == ["done"] * 3
    whole = sweep(DYING | {"fault": ""}, x="prompt", x_values="red\nblue\ngreen")
    with Image.open(files(whole)[0]) as one, Image.open(files(resumed)[0]) as two:
        assert same(one, two)


ATTEMPT = """
import sys
from pathlib import Path
from webui.api import Job
from webui.testing import run_pipeline

folder, job, *dirs = sys.argv[1:]
job = Job.model_validate_json(Path(job).read_text())
run_pipeline(job.pipeline, {}, Path(folder), job=job, extensions_dirs=[Path(one) for one in dirs])
"""


def test_a_cell_in_which_the_worker_died_twice_is_left_out(sweep: Run, studio: Studio) -> None:
    job = dying(studio, DYING)
    folder = studio.settings.data_dir / "work" / job.id
    folder.mkdir(parents=True)
    (folder / "cells.jsonl").write_text('{"cell": 3, "what": "began"}\n' * 2 + '{"cell": 2, "wh')
    outcome = sweep(job=job)
    assert outcome.state == "done"
    assert [row["state"] for row in rows(outcome)] == ["done", "failed", "done"]
    assert rows(outcome)[1]["error"] == "The worker ended 2 times while it made this."
    assert not folder.exists()


def test_the_starters_drawings_in_every_style(studio: Studio, tmp_path: Path) -> None:
    said = {"pipeline": "starter.draw", "params": {"width": 64, "seed": 3, "domain": "avatar"}}
    said |= {"x": "style", "x_values": "flat, sketch", "y": "language", "y_values": "en, zh"}
    outcome = run_pipeline("sweep.grid", said, tmp_path, studio=studio)
    assert outcome.state == "done", outcome.error
    assert len(outcome.images) == 5
    assert same(outcome.images[0], outcome.images[2])  # the language is of the caption alone
    assert not same(outcome.images[0], outcome.images[1])
