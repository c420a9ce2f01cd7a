"""Marks in the flow of the application: read back by C2PA's own reader, refused where they fail, absent where off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import c2pa
import pytest
from PIL import Image

from extensions.provenance import audit, watermark
from extensions.provenance.tests.extensions.portraits.work import drawn
from webui.api import ParameterError
from webui.testing import make_studio, run_pipeline

HERE = Path(__file__).resolve().parent
DIRS = [HERE.parents[1], HERE / "extensions"]
MEDIA = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


@pytest.fixture
def run(tmp_path: Path) -> Any:
    source = tmp_path / "source.png"
    drawn(9, 64).save(source)

    def go(pipeline: str = "portraits.change", marking: dict[str, Any] | None = None, **params: Any) -> Any:
        settings = params.pop("settings", {})
        studio = make_studio(
            tmp_path / "data",
            extensions_dirs=DIRS,
            models_dirs=[tmp_path],
            extensions={"provenance": marking or {}},
            device="cpu",
            **settings,
        )
        given = {"image": str(source), **params} if pipeline == "portraits.change" else params
        return run_pipeline(pipeline, given, tmp_path / "data", studio=studio)

    return go


def manifest_of(path: Path, media_type: str) -> tuple[str, str]:
    """State and digital source type, by the reader of C2PA's own library."""
    with path.open("rb") as file, c2pa.Reader(media_type, file) as reader:
        store = json.loads(reader.json())
        manifest = store["manifests"][store["active_manifest"]]
        (said,) = (one["data"] for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))
        action = said["actions"][0]
        return str(reader.get_validation_state()), action["digitalSourceType"].rpartition("/")[2]


def rows_of(outcome: Any) -> dict[str, list[str]]:
    import csv

    lines = list(csv.reader(outcome.paths[0].read_text(encoding="utf-8").splitlines()))[1:]
    return {mark: [found, meaning] for mark, found, meaning in lines}


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
def test_a_changed_face_is_signed_watermarked_and_keeps_its_recipe(run: Any, tmp_path: Path, image_format: str) -> None:
    outcome = run(consent=True, settings={"image_format": image_format})
    assert outcome.state == "done", outcome.error
    path = outcome.paths[0]
    assert manifest_of(path, MEDIA[image_format]) == ("Valid", "compositeWithTrainedAlgorithmicMedia")
    with Image.open(path) as picture:
        found = watermark.read(picture)
    assert found is not None
    assert found.data >> 30 == 2
    described = outcome.studio.files.describe(outcome.records[0].path)
    assert described.recipe.params["consent"] is True
    assert described.recipe.extensions["provenance"] == "0.1.0"
    checked = rows_of(run("provenance.check", image=str(path)))
    assert checked["C2PA manifest"][0] == "Trusted"
    assert "a picture that a machine changed" in checked["C2PA manifest"][1]
    assert checked["watermark"][0] == "person"
    assert checked["recipe"][0] == "found"
    log = tmp_path / "data" / "provenance" / "audit.jsonl"
    entry = json.loads(log.read_text(encoding="utf-8"))
    assert entry["result_sha256"] == outcome.records[0].sha256
    assert entry["consent"] is True
    assert entry["marks"] == ["c2pa", "watermark"]
    assert list(entry["sources_sha256"]) == ["image"]


def test_a_picture_that_is_saved_again_loses_the_signature_and_keeps_the_watermark(run: Any, tmp_path: Path) -> None:
    path = run(consent=True).paths[0]
    again = tmp_path / "again.jpg"
    with Image.open(path) as picture:
        picture.convert("RGB").resize((150, 140)).save(again, quality=80)
    checked = rows_of(run("provenance.check", image=str(again)))
    assert checked["C2PA manifest"][0] == "none"
    assert checked["watermark"][0] == "person"
    assert checked["recipe"][0] == "none"


def test_a_file_that_was_changed_after_signing_is_told(run: Any, tmp_path: Path) -> None:
    data = bytearray(run(consent=True, settings={"image_format": "jpeg"}).paths[0].read_bytes())
    data[-100] ^= 1
    changed = tmp_path / "changed.jpg"
    changed.write_bytes(data)
    assert rows_of(run("provenance.check", image=str(changed)))["C2PA manifest"][0] == "Invalid"


def test_a_film_is_signed(run: Any) -> None:
    outcome = run(consent=True, film=1)
    assert outcome.state == "done", outcome.error
    assert manifest_of(outcome.paths[0], "video/mp4")[0] == "Valid"
    assert rows_of(run("provenance.check", file=str(outcome.paths[0])))["C2PA manifest"][0] == "Trusted"


def test_what_cannot_be_marked_is_not_kept(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = run(consent=True, film=2)
    assert outcome.state == "failed"
    assert "no extension did" in outcome.error.message
    monkeypatch.setattr(watermark, "read", lambda picture: None)
    outcome = run(consent=True)
    assert outcome.state == "failed"
    assert "watermark was not found again" in outcome.error.message
    assert not outcome.records


def test_where_marking_is_off_the_same_seed_gives_the_same_bytes(run: Any) -> None:
    plain, again = (run("portraits.draw").records[0] for _ in range(2))
    assert plain.sha256 == again.sha256
    marked = [run("portraits.draw", {"when": "always"}) for _ in range(2)]
    pixels = [one.images[0].tobytes() for one in marked]
    assert pixels[0] == pixels[1]
    assert marked[0].records[0].sha256 != marked[1].records[0].sha256
    assert manifest_of(marked[0].paths[0], "image/png") == ("Valid", "trainedAlgorithmicMedia")


def test_there_must_be_something_to_check(run: Any) -> None:
    with pytest.raises(ParameterError, match="is required"):
        run("provenance.check")


def test_pipelines_are_chosen(run: Any) -> None:
    chosen = {"when": "chosen", "pipelines": ["portraits.draw"]}
    assert manifest_of(run("portraits.draw", chosen).paths[0], "image/png")[0] == "Valid"
    other = {"when": "chosen", "pipelines": ["portraits.change"]}
    with pytest.raises(c2pa.C2paError):
        manifest_of(run("portraits.draw", other).paths[0], "image/png")


def test_a_label_is_seen_in_its_corner_alone(run: Any) -> None:
    plain = run("portraits.draw").images[0]
    said = {"when": "always", "watermark": False, "label": "AI generated"}
    labelled = run("portraits.draw", said).images[0]
    corner = (96, 160, 192, 192)
    assert labelled.crop(corner).tobytes() != plain.crop(corner).tobytes()
    assert labelled.crop((0, 0, 192, 150)).tobytes() == plain.crop((0, 0, 192, 150)).tobytes()


def test_the_key_is_for_the_owner_alone_and_is_made_once(run: Any, tmp_path: Path) -> None:
    run(consent=True)
    key = tmp_path / "data" / "certificates" / "signer.key"
    assert key.stat().st_mode & 0o077 == 0
    before = key.read_bytes()
    run(consent=True)
    assert key.read_bytes() == before
    assert sorted(one.name for one in key.parent.iterdir()) == ["authority.pem", "signer.key", "signer.pem"]


def test_a_line_taken_out_of_the_audit_log_is_noticed(tmp_path: Path) -> None:
    log = tmp_path / "log" / "audit.jsonl"
    for number in range(4):
        audit.write_entry(log, {"number": number})
    assert audit.broken_at(log) is None
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert audit.broken_at(log) == 2
    log.write_bytes(b"".join(lines).replace(b'"number":2', b'"number":7'))
    assert audit.broken_at(log) == 4
