"""The starter's pipelines, run as the application runs them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from extensions.starter.world import describe, draw, sample
from webui.testing import run_pipeline

# diffusers asks NumPy to convert a tensor in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_draw_gives_the_picture_of_each_seed(tmp_path: Path) -> None:
    outcome = run_pipeline("starter.draw", {"samples": 3, "seed": 11, "width": 64}, tmp_path)
    assert outcome.state == "done"
    assert [r.seed for r in outcome.records] == [11, 12, 13]
    for seed, image in zip((11, 12, 13), outcome.images, strict=True):
        assert image.convert("RGB").tobytes() == draw(sample(seed), 64).tobytes()


def test_draw_takes_one_domain_style_and_language(tmp_path: Path) -> None:
    asked = {"samples": 2, "seed": 5, "width": 32, "domain": "avatar", "style": "pixel", "language": "zh"}
    outcome = run_pipeline("starter.draw", asked, tmp_path)
    assert outcome.state == "done"
    for seed, image, record in zip((5, 6), outcome.images, outcome.records, strict=True):
        person = sample(seed, "avatar").with_(style="pixel")
        assert image.convert("RGB").tobytes() == draw(person, 32).tobytes()
        assert record.title == describe(person, seed, language="zh").text


def test_draw_writes_a_data_set(tmp_path: Path) -> None:
    target = tmp_path / "set"
    outcome = run_pipeline(
        "starter.draw", {"samples": 5, "seed": 2, "width": 32, "folder": str(target)}, tmp_path / "data"
    )
    assert outcome.state == "done"
    assert len((target / "metadata.jsonl").read_text().splitlines()) == 5
    assert len(list(target.glob("*.png"))) == 5


def test_draw_refuses_many_single_pictures(tmp_path: Path) -> None:
    outcome = run_pipeline("starter.draw", {"samples": 1001, "seed": 0}, tmp_path)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "name a folder" in outcome.error.message


def test_train_and_evaluate(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "training"
    trained = run_pipeline("starter.train", {"preset": "tiny", "folder": str(folder)}, tmp_path / "data")
    assert trained.state == "done", trained.error
    assert {r.kind for r in trained.records} == {"image", "table", "file"}
    assert trained.progress
    numbers = {
        "samples": 8,
        "steps": 2,
        "drawings": 64,
        "model": str(folder / "avatar"),
        "judge": str(folder / "judge"),
    }
    measured = run_pipeline("starter.evaluate", {**numbers, "card": str(tmp_path / "README.md")}, tmp_path / "data")
    assert measured.state == "done", measured.error
    (scalar,) = [p for p, r in zip(measured.paths, measured.records, strict=True) if r.kind == "scalar"]
    told = json.loads(scalar.read_text())
    told = told.get("data", told)
    assert 0 <= told["attribute_accuracy"] <= 1
    assert {"by_attribute", "classifier_accuracy", "psnr_db", "seconds_per_image", "peak_memory_mib"} <= set(told)
    assert {"edit", "controlnet", "lora", "upscaler", "perceptual_distance"} <= set(told)
    distance = told["distances"]["fd_starter"]
    assert 0 < distance["low"] < distance["high"]
    assert told["distances"]["fd_starter_floor"] > 0
    assert 100 < told["peak_memory_of_one_picture_mib"] <= 4096
    assert told["scope"] == "flat"
    assert not {"style"} & set(told["by_attribute"])
    assert 0 <= told["edit"]["changed"] <= 1
    assert set(told["upscaler"]) == {"x2", "x4"}
    card = (tmp_path / "README.md").read_text()
    assert f"{told['attribute_accuracy']:.1%}" in card
    assert "{" not in card
    assert f"{told['edit']['changed']:.1%} of named attributes" in card
    assert "LoRA sketch" in card


def test_cancel_keeps_the_checkpoint(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "training"
    asked = {"preset": "tiny", "stage": "autoencoder", "folder": str(folder)}
    stopped = run_pipeline("starter.train", asked, tmp_path / "data", cancel_when=lambda o: bool(o.progress))
    assert stopped.state == "cancelled"
    assert (folder / "autoencoder.pt").exists()
    assert not (folder / "vae").exists()
    assert run_pipeline("starter.train", asked, tmp_path / "data").state == "done"
    assert (folder / "vae").is_dir()


def test_configuration_errors_are_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("stepz = 3\n")
    outcome = run_pipeline("starter.train", {"config": str(wrong)}, tmp_path)
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "stepz" in outcome.error.message


def test_bundled_model_loads_offline_and_repeats() -> None:
    pytest.importorskip("torch")
    from extensions.starter.export import load_pipeline, sample
    from extensions.starter.judge import load_judge
    from extensions.starter.pipelines import BUNDLED

    pipeline = load_pipeline(BUNDLED / "avatar")
    assert pipeline.vae.config.scaling_factor == 1.0
    assert pipeline.tokenizer.model_max_length == 77
    pictures = [sample(pipeline, ["a smiling person"], [1], steps=2)[0].tobytes() for _ in range(2)]
    assert hashlib.sha256(pictures[0]).digest() == hashlib.sha256(pictures[1]).digest()
    load_judge(BUNDLED / "judge")
    files = [p for p in BUNDLED.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 40 * 2**20
    assert not [p for p in files if p.suffix in {".pt", ".bin", ".ckpt", ".pkl"}]


def test_a_model_is_measured_on_what_it_was_trained_on(tmp_path: Path) -> None:
    from extensions.starter.scope import FLAT, PLAIN, WHOLE, scope_of

    assert scope_of(tmp_path) == PLAIN, "the weights that came before the name"
    (tmp_path / "lifelike.json").write_text('{"scope": "whole"}', encoding="utf-8")
    assert scope_of(tmp_path) == WHOLE
    (tmp_path / "lifelike.json").write_text('{"scope": "flat"}', encoding="utf-8")
    assert scope_of(tmp_path) == FLAT
    assert all(s.style == "flat" for s in FLAT.subjects(0, 40))
    edits = [FLAT.edit(seed) for seed in range(200)]
    assert all(e.before.style == e.after.style == "flat" for e in edits), "no instruction asks for a style"
    assert not any("style" in e.changed for e in edits)
    assert any("style" in WHOLE.edit(seed).changed for seed in range(200))
    assert {one.domain for one in WHOLE.subjects(0, 20)} == {"avatar", "scene"}
    plain = PLAIN.subjects(0, 20)
    assert {(one.domain, one.labels()["style"]) for one in plain} == {("avatar", 0)}
    assert PLAIN.counts("avatar.hat")
    assert not PLAIN.counts("avatar.age")
    assert PLAIN.caption(plain[0], 3).text.isascii()
    (tmp_path / "lifelike.json").write_text('{"scope": "half"}', encoding="utf-8")
    with pytest.raises(ValueError, match="expected one of whole, flat, plain"):
        scope_of(tmp_path)
