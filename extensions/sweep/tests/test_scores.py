"""Scores of cells: asked for by name, taken by other pipelines, in the table, below the cells and as plots."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from extensions.sweep.plan import Plan
from extensions.sweep.scores.asked import find, offered, runs_of
from extensions.sweep.scores.chart import as_picture, as_svg
from extensions.sweep.scores.series import FLOOR, FRONT, Mark, Scores, against_time, front, over_axis
from webui.api import Measure, Number
from webui.testing import Outcome, Studio

Run = Callable[..., Outcome]


def plan_of(outcome: Outcome) -> Plan:
    return Plan.from_json(outcome.job.params["pipeline"], outcome.job.params["plan"])


def files(outcome: Outcome) -> dict[int, Path]:
    return {one.index: outcome.studio.files.path_of(one) for one in outcome.studio.files.find_job(outcome.job)}


def rows(outcome: Outcome) -> list[dict[str, str]]:
    assert outcome.state == "done", outcome.error
    with files(outcome)[plan_of(outcome).table_index].open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def real(studio: Studio) -> Path:
    folder = studio.settings.data_dir / "sets" / "noise"
    folder.mkdir(parents=True)
    for index in range(20):
        pixels = np.random.default_rng(index).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def prompts(studio: Studio) -> str:
    path = studio.settings.data_dir / "prompts.txt"
    path.write_text("a smiling person with red hair\na sad person\n", encoding="utf-8")
    return str(path)


SETS = {"x": "steps", "x_values": "2, 3", "pictures": 9, "keep": 2}


@pytest.fixture(scope="module")
def scored(sweep: Run, real: Path, prompts: str) -> Outcome:
    names = ("metrics.fd", "metrics.kd", "prompt_accuracy", "metrics.sharpness")
    return sweep(**SETS, scores=names, real=str(real), prompts=prompts)


def test_each_cell_has_its_scores_with_interval_and_floor(scored: Outcome) -> None:
    table = rows(scored)
    assert [row["steps"] for row in table] == ["2", "3"]
    for row in table:
        assert float(row["FD-starter low"]) <= float(row["FD-starter"]) <= float(row["FD-starter high"])
        assert float(row["FD-starter real against real"]) > 0
        assert 0 <= float(row["Prompt accuracy-starter: share of what a prompt asks for"]) <= 1
        assert float(row["Sharpness (variance of Laplacian)"]) > 0
        assert float(row["seconds_per_picture"]) > 0
        assert "KD-starter" in row
    assert table[0]["FD-starter"] != table[1]["FD-starter"]


def test_pictures_of_a_cell_have_seeds_and_prompts_of_their_own(scored: Outcome, studio: Studio) -> None:
    plan, made = plan_of(scored), files(scored)
    told = []
    for cell in plan.cells():
        for place in range(plan.keep):
            described = studio.files.describe(made[cell.index + place].relative_to(studio.files.root).as_posix())
            assert described is not None
            assert described.recipe is not None
            told.append((described.recipe.params["steps"], described.recipe.seed, described.recipe.params["prompt"]))
    red, sad = "a smiling person with red hair", "a sad person"
    assert told == [(2, 7, red), (2, 8, sad), (3, 7, red), (3, 8, sad)]


def test_plots_sheet_and_numbers_are_files_of_the_job(scored: Outcome) -> None:
    plan, made = plan_of(scored), files(scored)
    unplotted = plan.plots_index + 7  # sharpness over time: neither more nor less of it is better
    assert sorted(made) == [index for index in range(plan.total) if index != unplotted]
    fd = json.loads(made[plan.plots_index].read_text())
    assert (fd["x"], fd["y"]) == ("Steps", "FD-starter")
    assert [one["name"] for one in fd["series"]] == ["", FLOOR]
    assert [point[0] for point in fd["series"][0]["points"]] == [2, 3]
    assert all(low <= value <= high for _, value, low, high in fd["series"][0]["points"])
    time = json.loads(made[plan.plots_index + 1].read_text())
    assert [one["name"] for one in time["series"]] == [FRONT, "FD-starter"]
    sheet = plan.cells_index - 3
    ElementTree.fromstring(made[sheet].read_text())
    with Image.open(made[sheet + 1]) as picture:
        assert picture.width > 1000
    told = json.loads(made[sheet + 2].read_text())
    assert [one["key"] for one in told[0]["scores"]] == ["fd", "kd", "accuracy", "variance_of_laplacian"]
    with Image.open(made[0]) as grid:
        assert grid.height > 2 * 32  # four lines of scores below the cells


def test_a_stopped_one_goes_on_and_has_the_same_numbers(sweep: Run, scored: Outcome, real: Path, prompts: str) -> None:
    names = ("metrics.fd", "metrics.kd", "prompt_accuracy", "metrics.sharpness")

    def half(outcome: Outcome) -> bool:
        return any(one.message == "Taking scores" and one.step >= 2 for one in outcome.progress)

    stopped = sweep(**SETS, scores=names, real=str(real), prompts=prompts, cancel_when=half)
    assert stopped.state == "cancelled"
    work = stopped.studio.settings.data_dir / "work" / stopped.job.id / "scores.jsonl"
    before = work.read_text()
    assert 0 < before.count("\n") < 6
    resumed = sweep(job=stopped.job)
    for one, two in zip(rows(scored), rows(resumed), strict=True):
        timed = dict.fromkeys(("seconds", "seconds_per_picture"), "")
        assert {**one, **timed} == {**two, **timed}


def test_single_pictures_are_compared_with_a_reference(sweep: Run, studio: Studio, tmp_path: Path) -> None:
    first = sweep(x="steps", x_values="2, 3")
    kept = files(first)[plan_of(first).cells()[0].index]
    reference = studio.settings.data_dir / "sets" / "reference"
    reference.mkdir(parents=True)
    (reference / "0.png").write_bytes(kept.read_bytes())
    outcome = sweep(x="steps", x_values="2, 3", scores=("ssim", "psnr"), references=str(reference))
    table = rows(outcome)
    assert float(table[0]["SSIM"]) == 1.0
    assert float(table[1]["SSIM"]) < 0.5
    assert table[0].get("PSNR in dB", "") == ""  # equal pictures have an infinite one
    assert float(table[1]["PSNR in dB"]) < 20


def test_what_cannot_be_measured_costs_the_others_nothing(sweep: Run) -> None:
    outcome = sweep(x="steps", x_values="2, 3", scores=("niqe", "clip_score", "colourfulness"))
    assert "Colourfulness (Hasler and Suesstrunk)" in rows(outcome)[0]
    assert any(one.startswith("Not measured: CLIPScore.") for one in outcome.warnings)


def test_what_is_wrong_is_said_before_anything_runs(refused: Callable[..., dict[str, str]]) -> None:
    axis = {"x": "steps", "x_values": "2, 3"}
    assert "expected some of" in refused(**axis, scores=("nothing",))["scores"]
    told = refused(**axis, scores=("metrics.fd",))
    assert "expected at least 8 for Frechet distance" in told["pictures"]
    assert "is required by Frechet distance" in told["real"]
    assert (
        "expected a folder that is there" in refused(**axis, scores=("metrics.fd",), pictures=9, real="nowhere")["real"]
    )
    assert "is required by SSIM" in refused(**axis, scores=("metrics.ssim",))["reference"]
    assert "makes pictures" in refused(**axis, pipeline="dots.count", scores=("metrics.niqe",))["scores"]


def test_scores_of_one_pipeline_are_taken_in_one_run() -> None:
    one, two = (Measure(f"a.{key}", key, (key,), {"pictures": "p"}, {"scores": [key]}) for key in "xy")
    other = Measure("a.z", "z", ("z",), {"pictures": "p"}, {"scores": ["z"], "model": "m"})
    clash = Measure("a.w", "w", ("w",), {"pictures": "p"}, {"model": "n"})
    runs = runs_of([("a.a", one), ("b.b", one), ("a.a", two), ("a.a", other), ("a.a", clash)])
    assert [(run.pipeline, run.params.get("scores"), run.params.get("model")) for run in runs] == [
        ("a.a", ["x", "y", "z"], "m"),
        ("b.b", ["x"], None),
        ("a.a", None, "n"),
    ]


def test_every_built_in_score_is_found_by_its_short_name(studio: Studio) -> None:
    known = offered(studio.host.pipelines.values())
    assert {"metrics.fd", "metrics.kd", "metrics.niqe", "metrics.brisque", "metrics.lpips", "metrics.ssim"} <= set(
        known
    )
    assert find("niqe", known) == known["metrics.niqe"]
    assert find("fid", known) is None


# Plots


def number(value: float, better: str = "lower") -> Number:
    return Number("fd", "FD-starter", value, value - 1, value + 1, 0.5, better)


@given(
    st.lists(st.tuples(st.floats(0.1, 9), st.floats(0, 99)), min_size=1, max_size=12),
    st.sampled_from(["lower", "higher"]),
)
def test_no_cell_beats_one_of_the_front(places: list[tuple[float, float]], better: str) -> None:
    marks = [Mark(x, number(y, better), "") for x, y in places]
    sign = -1 if better == "higher" else 1
    best = front(marks)
    assert [one.x for one in best] == sorted(one.x for one in best)
    for one in best:
        assert not any(o.x <= one.x and sign * o.number.value < sign * one.number.value for o in marks)
    for one in marks:
        assert any(o.x <= one.x and sign * o.number.value <= sign * one.number.value for o in best)


def cells(words: bool) -> list[Scores]:
    return [
        Scores(f"m{x}" if words else x, f"<m{x}>", other, f"Steps {x} & {other}", x / 10, [number(30 / x + y)])
        for y, other in enumerate(("Euler", "Heun"))
        for x in (5, 10, 20)
    ]


def test_lines_are_of_the_other_axes() -> None:
    panel = over_axis(cells(words=False), ["fd"], "Steps")
    assert panel is not None
    assert [(line.name, [mark.x for mark in line.marks]) for line in panel.lines[:2]] == [
        ("Euler", [5, 10, 20]),
        ("Heun", [5, 10, 20]),
    ]
    assert panel.lines[2].dashed
    named = over_axis(cells(words=True), ["fd"], "Model")
    assert named is not None
    assert named.ticks == ((1, "<m5>"), (2, "<m10>"), (3, "<m20>"))
    assert over_axis(cells(words=False), ["kd"], "Steps") is None
    assert against_time(cells(words=False)[:1], ["fd"]) is None


@pytest.mark.parametrize("words", [False, True])
def test_a_sheet_is_light_and_dark_and_tells_its_values(words: bool) -> None:
    known = cells(words)
    panels = [panel for panel in (over_axis(known, ["fd"], "Steps"), against_time(known, ["fd"])) if panel]
    text = as_svg([panels])
    assert text == as_svg([panels])
    root = ElementTree.fromstring(text)
    assert "prefers-color-scheme:dark" in text
    titles = [one.text for one in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "Steps 5 & Euler: 6 (5 to 7)" in titles
    for dark in (False, True):
        picture = as_picture([panels], dark=dark)
        assert picture.getpixel((1, 1)) == ((23, 24, 26) if dark else (255, 255, 255))
        assert len(picture.getcolors(1 << 20) or ()) > 20
