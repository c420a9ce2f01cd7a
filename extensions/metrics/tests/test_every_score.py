"""What holds of every score: two runs give one number to the last digit, and each has what makes it a measurement."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from extensions.metrics.params import MEASURES
from extensions.metrics.tests.conftest import numbers
from webui.api import numbers_of
from webui.testing import Outcome, Studio

Score = Callable[..., Outcome]
OF_SETS = {
    "fd": ("fd",),
    "fd_infinity": ("fd_infinity",),
    "kd": ("kd",),
    "inception_score": ("inception_score",),
    "precision_recall": ("precision", "recall"),
    "density_coverage": ("density", "coverage"),
    "cmmd": ("cmmd",),
    "diversity": ("perceptual_diversity", "ms_ssim_diversity"),
}
"""Of metrics.compare; neighbours are no score but pairs."""
OF_PICTURES = {
    "variance_of_laplacian": "image_quality",
    "colourfulness": "image_quality",
    "niqe": "image_quality",
    "brisque_distance": "image_quality",
    "psnr": "against_reference",
    "ssim": "against_reference",
    "ms_ssim": "against_reference",
    "lpips": "against_reference",
    "accuracy": "prompt_accuracy",
}
KEYS = [key for keys in OF_SETS.values() for key in keys] + list(OF_PICTURES)


@pytest.fixture(scope="module")
def twice(score: Score, real: Path, made: Path) -> list[dict[str, Outcome]]:
    """Every score taken twice, the features of the second time read from what was kept."""
    runs: list[dict[str, Outcome]] = []
    for _ in range(2):
        told = {"compare": score("compare", real=real, generated=made, scores=tuple(OF_SETS), diversity_pairs=16)}
        drawn = {"pictures": "drawn:avatar?size=64", "samples": 10}
        told["image_quality"] = score("image_quality", **drawn, niqe="drawings")
        told["prompt_accuracy"] = score("prompt_accuracy", **drawn, prompt="a smiling person with red hair")
        told["against_reference"] = score(
            "against_reference", pictures=made, references=real, samples=10, perceptual="starter", maps=0
        )
        runs.append(told)
    return runs


def found(run: dict[str, Outcome], key: str) -> tuple[str, Any, Outcome]:
    outcome = run[OF_PICTURES.get(key, "compare")]
    one = next(one for one in numbers_of(numbers(outcome)) if one.key == key)
    return one.title, one, outcome


def test_no_score_is_forgotten_here() -> None:
    assert set(OF_SETS) == set(MEASURES) - {"neighbours"}


@pytest.mark.parametrize("key", KEYS)
def test_a_score_is_the_same_twice_with_interval_floor_and_record(twice: list[dict[str, Outcome]], key: str) -> None:
    title, one, outcome = found(twice[0], key)
    assert found(twice[1], key)[1] == one, "to the last digit, the interval and the floor too"
    assert math.isfinite(one.value)
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.value <= one.high
    assert one.interval, "what the interval is over"
    if key not in OF_PICTURES:
        assert one.real_vs_real is not None, "real against real"
        assert any("are few for 128 features" in words for words in outcome.warnings)
    record = next(path for kept, path in zip(outcome.records, outcome.paths, strict=True) if kept.kind == "file")
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    line = next(line for line in lines if line["score"] == title)
    assert line["value"] == one.value
    assert {"key", "versions", "device"} <= set(line)


def test_the_history_has_every_score(twice: list[dict[str, Outcome]], studio: Studio) -> None:
    history = (studio.settings.data_dir / "metrics" / "scores.jsonl").read_text(encoding="utf-8")
    kept = {(row["job"], row["key"]) for row in map(json.loads, history.splitlines()) if "job" in row}
    for key in KEYS:
        assert (twice[0][OF_PICTURES.get(key, "compare")].job.id, key) in kept
