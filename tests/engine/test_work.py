"""Estimates of what a computation takes: formulas first, then what was measured, kept whole between starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from webui.core.specs import Work
from webui.engine.work import WorkEstimates, estimates_path, formula

MIB = 2**20
WORK = Work("denoise", "sdxl", 1024, 1024)


@pytest.mark.parametrize(
    ("work", "mib"),
    [
        (Work("denoise", "sd1", 512, 512), 2 * 64 * 64 * 2 * 0.01),
        (WORK, 2 * 128 * 128 * 2 * 0.01 * 0.8),
        (Work("denoise", "sdxl", 1024, 1024, 4), 4 * 2 * 128 * 128 * 2 * 0.01 * 0.8),
        (Work("decode", "sdxl", 1024, 1024, 4), 2178 * 128 * 128 * 64 * 2 / MIB),
        (Work("other"), 0),
    ],
)
def test_the_formulas(work: Work, mib: float) -> None:
    assert formula(work, 2) == pytest.approx(mib * MIB, rel=1e-6)


def test_the_95th_percentile_of_what_was_measured_and_a_tenth_more() -> None:
    estimates = WorkEstimates()
    assert estimates.estimate(None, 2) == 0
    assert estimates.estimate(WORK, 2) == formula(WORK, 2)
    for peak in range(1, 21):
        estimates.learn(WORK, 2, peak * MIB)
    assert estimates.estimate(WORK, 2) == int(19 * MIB * 1.1)
    assert estimates.estimate(WORK, 4) == formula(WORK, 4)
    estimates.learn(WORK, 4, 0)
    assert estimates.estimate(WORK, 4) == formula(WORK, 4), "a device that knows no peaks teaches nothing"


def test_each_failure_asks_for_more_until_one_went_through() -> None:
    estimates = WorkEstimates()
    seen = [estimates.estimate(WORK, 2)]
    for _ in range(3):
        estimates.raise_(WORK, 2)
        seen.append(estimates.estimate(WORK, 2))
    assert seen == sorted(set(seen))
    estimates.learn(WORK, 2, 10 * MIB)
    assert estimates.estimate(WORK, 2) == 11 * MIB


def test_learned_things_outlive_the_process_and_a_broken_file(tmp_path: Path) -> None:
    path = estimates_path(tmp_path, "NVIDIA H200", {"torch": "2.14.1+cpu", "diffusers": "0.42.1", "numpy": "2"})
    assert path.name == "NVIDIA-H200_torch-2.14.1-cpu_diffusers-0.42.1.json"
    WorkEstimates(path).learn(WORK, 2, 10 * MIB)
    assert WorkEstimates(path).estimate(WORK, 2) == 11 * MIB
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    for broken in ("{", "[1]", '{"a": 3}'):
        path.write_text(broken)
        assert WorkEstimates(path).estimate(WORK, 2) == formula(WORK, 2)


def test_a_folder_that_cannot_be_written_costs_the_memory_only(tmp_path: Path) -> None:
    (tmp_path / "memory").write_text("a file where the folder should be")
    estimates = WorkEstimates(tmp_path / "memory" / "x.json")
    estimates.learn(WORK, 2, 10 * MIB)
    assert estimates.estimate(WORK, 2) == 11 * MIB
