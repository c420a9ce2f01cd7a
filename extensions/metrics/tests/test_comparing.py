"""Scores as jobs: from folders, zips, the gallery, statistics and pipelines to numbers, tables and records."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from extensions.metrics.tests.conftest import numbers, write_pictures
from webui.api import ParameterError
from webui.testing import Outcome, Studio, run_pipeline

Score = Callable[..., Outcome]


@pytest.fixture(scope="module")
def compared(score: Score, real: Path, made: Path) -> Outcome:
    return score("compare", real=real, generated=made, scores=("fd", "kd", "density_coverage", "neighbours"), pairs=4)


def test_a_score_has_value_interval_floor_and_protocol(compared: Outcome) -> None:
    told = numbers(compared)
    fd = told["scores"]["FD-starter"]
    assert fd["low"] <= fd["value"] <= fd["high"]
    assert 0 < fd["real_vs_real"] < fd["value"]
    assert told["real"] == 80
    assert told["generated"] == 64
    protocol = told["protocol"]
    assert protocol["network"] == "starter.judge"
    assert len(protocol["weights"]) == 64
    assert (protocol["resize"], protocol["antialias"], protocol["real_format"]) == ("area mean", True, "png")
    assert protocol["n_real_vs_real"] == [40, 40]
    assert {"torch", "numpy", "scipy", "metrics"} <= set(protocol["versions"])
    assert any("few for 128 features" in words for words in compared.warnings)


def test_the_record_has_a_line_for_each_score(compared: Outcome, studio: Studio) -> None:
    path = next(p for r, p in zip(compared.records, compared.paths, strict=True) if r.kind == "file")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [row["score"] for row in rows] == ["FD-starter", "KD-starter", "Density-starter", "Coverage-starter"]
    assert all(row["n_generated"] == 64 and row["seed"] == 2020 and row["weights"] for row in rows)
    history = studio.settings.data_dir / "metrics" / "scores.jsonl"
    assert compared.job.id in history.read_text(encoding="utf-8")


def test_neighbours_are_shown_as_pairs_and_as_a_table(compared: Outcome) -> None:
    kinds = [record.kind for record in compared.records]
    assert kinds == ["scalar", "table", "file", "image", "table"]
    assert compared.images[0].width > 4 * 2 * 128
    rows = compared.paths[4].read_text(encoding="utf-8").splitlines()
    assert len(rows) == 5
    assert "nearest_real" in rows[0]


def test_two_runs_give_the_same_bytes(compared: Outcome, score: Score, real: Path, made: Path) -> None:
    again = score("compare", real=real, generated=made, scores=("fd", "kd", "density_coverage", "neighbours"), pairs=4)
    assert [path.read_bytes() for path in again.paths[:3]] == [path.read_bytes() for path in compared.paths[:3]]


def test_diversity_is_of_the_networks_layers_unless_lpips_is_asked_for(
    score: Score, studio: Studio, real: Path, made: Path, tmp_path: Path
) -> None:
    sets = {"real": real, "generated": made, "scores": ("diversity",), "diversity_pairs": 8}
    plain = numbers(score("compare", **sets))
    assert plain["order"][0] == "Perceptual diversity-starter"
    assert "diversity" not in plain["protocol"]
    with torch.device("meta"):
        empty = torchvision.models.squeezenet1_1(weights=None)
    generator = torch.Generator().manual_seed(1)
    weights = {
        name: torch.randn(one.shape, generator=generator) * 0.1
        for name, one in empty.state_dict().items()
        if name.startswith("features.")
    }
    path = studio.settings.data_dir / "squeeze.pth"
    torch.save(weights, path)
    told = numbers(score("compare", **sets, perceptual="squeeze", perceptual_weights=str(path)))
    name = told["order"][0]
    assert name == "Diversity by LPIPS-squeeze 0.1"
    one = told["scores"][name]
    assert one["low"] < one["value"] < one["high"]
    assert one["real_vs_real"] > 0
    assert told["protocol"]["diversity"]["perceptual"] == "LPIPS-squeeze"
    gone = score("compare", **sets, perceptual="alex")
    assert gone.state == "failed"
    assert "models/features" in str(gone.error)


def test_copies_are_found_by_name(score: Score, real: Path, tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    write_pictures(copies, 8, 7, shift=90)
    for name in ("0003.png", "0011.png"):
        (copies / f"copy-{name}").write_bytes((real / name).read_bytes())
    outcome = score("neighbours", real=real, generated=copies, pairs=2)
    rows = outcome.paths[4].read_text(encoding="utf-8").splitlines()[1:]
    assert sorted(row.split(",")[:2] for row in rows) == [["copy-0003.png", "0003.png"], ["copy-0011.png", "0011.png"]]
    assert numbers(outcome)["neighbours"]["copies"] == 2


@pytest.mark.parametrize(
    ("pipeline", "more", "names"),
    [
        ("fid", {}, ["FD-starter"]),
        ("fd", {"infinity": True}, ["FD-starter", "FD-starter at infinity"]),
        ("kid", {"subsets": 4, "subset_size": 20}, ["KD-starter"]),
        ("inception_score", {"splits": 2}, ["IS-starter"]),
        ("precision_recall", {}, ["Precision-starter", "Recall-starter", "Density-starter", "Coverage-starter"]),
        ("cmmd", {}, ["CMMD-starter"]),
    ],
)
def test_each_score_by_itself_is_named_by_its_network(
    score: Score, real: Path, made: Path, pipeline: str, more: dict[str, Any], names: list[str]
) -> None:
    assert sorted(numbers(score(pipeline, real=real, generated=made, **more))["scores"]) == sorted(names)


def test_a_zip_is_the_folder(score: Score, real: Path, made: Path, tmp_path: Path) -> None:
    packed = tmp_path / "made.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(made.iterdir()):
            archive.write(path, f"../../{path.name}")
        archive.writestr("notes.txt", "no picture")
    folder = numbers(score("fd", real=real, generated=made))["scores"]
    assert numbers(score("fd", real=real, generated=packed))["scores"] == folder
    assert numbers(score("fd", real=real, generated_file=str(packed)))["scores"] == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.zip"]


def test_statistics_are_what_other_programs_write(score: Score, real: Path, made: Path, tmp_path: Path) -> None:
    direct = numbers(score("fd", real=real, generated=made))["scores"]["FD-starter"]["value"]
    kept = score("statistics", real=real)
    with np.load(kept.paths[0]) as file:
        assert file["mu"].shape == (128,)
        assert file["sigma"].shape == (128, 128)
        np.savez(tmp_path / "theirs.npz", mu=file["mu"], sigma=file["sigma"])
    told = numbers(score("fd", real=tmp_path / "theirs.npz", generated=made))
    assert told["scores"]["FD-starter"]["value"] == pytest.approx(direct, rel=1e-12)
    assert told["protocol"]["real_set"] == "statistics"
    refused = score("kid", real=tmp_path / "theirs.npz", generated=made)
    assert "statistics alone" in refused.error.message


def test_pictures_of_a_pipeline_are_measured_and_forgotten_or_kept(score: Score, studio: Studio, real: Path) -> None:
    asked = {"real": real, "pipeline": "starter.draw", "params": {"width": 32, "domain": "avatar"}, "samples": 20}
    gone = score("compare", scores=("fd",), seed=5, **asked)
    kept = score("compare", scores=("fd",), seed=5, keep=True, **asked)
    assert numbers(gone)["scores"] == numbers(kept)["scores"]
    assert not [record for record in gone.records if record.kind == "image"]
    pictures = [record for record in kept.records if record.kind == "image"]
    assert [record.index for record in pictures] == list(range(3, 23))
    drawn = run_pipeline("starter.draw", {"width": 32, "domain": "avatar", "samples": 2, "seed": 5},
                         studio.settings.data_dir, studio=studio)  # fmt: skip
    assert [image.tobytes() for image in drawn.images] == [image.tobytes() for image in kept.images[:2]]


def test_pictures_that_were_chosen_in_the_gallery(score: Score, studio: Studio, made: Path) -> None:
    drawn = run_pipeline(
        "starter.draw", {"width": 32, "samples": 9, "seed": 1}, studio.settings.data_dir, studio=studio
    )
    refs = [f"artifact:{record.id}" for record in drawn.records]
    for record in drawn.records:
        studio.library.add(record)
    told = numbers(score("fd", real=made, generated_images=refs))
    assert told["generated"] == 9


def test_a_job_that_was_cut_off_goes_on_where_it_was(score: Score, studio: Studio, tmp_path: Path) -> None:
    many = write_pictures(studio.settings.data_dir / "sets" / "many", 64, 3)
    few = write_pictures(studio.settings.data_dir / "sets" / "few", 16, 4)
    stopped = score(
        "fd", real=many, generated=few, batch=8, cancel_when=lambda o: any(p.step >= 24 for p in o.progress)
    )
    assert stopped.state == "cancelled"
    going_on = score("fd", real=many, generated=few, batch=8, job=stopped.job)
    assert min(one.step for one in going_on.progress if one.message.startswith("Reading")) >= 24
    fresh = write_pictures(tmp_path / "fresh", 64, 3), write_pictures(tmp_path / "fresh-few", 16, 4)
    whole = score("fd", real=fresh[0], generated=fresh[1], batch=8)
    assert numbers(going_on)["scores"] == numbers(whole)["scores"]


@pytest.mark.parametrize(
    ("pipeline", "params", "field", "says"),
    [
        ("fd", {}, "real", "is required"),
        ("fd", {"real": "/nowhere/at/all"}, "real", "expected a folder that is there"),
        ("fd", {"real": "/nowhere/a.zip"}, "real", "expected a folder that is there"),
        ("fd", {"real": "drawn:avatar", "generated": "gone.npz"}, "generated", "there is no such file"),
        ("compare", {"real": "drawn:avatar", "scores": ("best",)}, "scores", "expected some of fd"),
        ("compare", {"real": "drawn:avatar", "pipeline": "no.such"}, "pipeline", "expected a pipeline"),
        ("compare", {"real": "drawn:avatar", "pipeline": "starter.evaluate"}, "pipeline", "expected a pipeline"),
        ("compare", {"real": "drawn:any", "pipeline": "starter.draw", "params": {"widht": 5}}, "params", "widht"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    score: Score, made: Path, pipeline: str, params: dict[str, Any], field: str, says: str
) -> None:
    generated = {} if "pipeline" in params else {"generated": made}
    with pytest.raises(ParameterError) as caught:
        score(pipeline, **{**generated, **params})
    assert says in next(one.message for one in caught.value.fields if one.name == field)


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"real": "dataset:not a name"}, "names no data set"),
        ({"real": "drawn:avatar?colour=red"}, "how it is written"),
        ({"real": "pipeline:no.such"}, "there is no pipeline"),
        ({"real": "collection:Nothing"}, "there is no picture in the collection Nothing"),
    ],
)
def test_what_is_no_set_is_told(score: Score, made: Path, params: dict[str, Any], says: str) -> None:
    outcome = score("fd", generated=made, **params)
    assert outcome.state == "failed"
    assert says in outcome.error.message


def test_few_pictures_are_no_crash(score: Score, made: Path, tmp_path: Path) -> None:
    few = write_pictures(tmp_path / "few", 9, 5)
    told = numbers(score("compare", real=few, generated=few))["scores"]
    assert told["FD-starter"]["real_vs_real"] is None
    assert "FD-starter at infinity" not in told
    refused = score("fd", real=made, generated=few, infinity=True)
    assert "it needs 64 pictures a side, and there are 9" in refused.error.message


def test_a_broken_picture_is_named(score: Score, made: Path, tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", 9, 1)
    (tmp_path / "set" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    outcome = score("fd", real=tmp_path / "set", generated=made)
    assert "broken.png cannot be read as a picture" in outcome.error.message


def test_of_a_zip_a_picture_that_swells_is_refused(score: Score, made: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("extensions.metrics.inputs.places.MAX_FILE_BYTES", 1000)
    Image.new("RGB", (900, 900)).save(tmp_path / "flat.bmp")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "flat.bmp", "flat.bmp")
    outcome = score("fd", real=tmp_path / "bomb.zip", generated=made)
    assert "unpacks to" in outcome.error.message


def test_what_is_no_file_of_statistics_is_refused(score: Score, made: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", mu=np.array([print], dtype=object), sigma=np.eye(2))
    np.savez(tmp_path / "other.npz", mu=np.zeros(3), sigma=np.eye(3))
    for name, says in (("evil.npz", "no file of statistics"), ("other.npz", "its statistics have 3 features")):
        assert says in score("fd", real=tmp_path / name, generated=made).error.message
