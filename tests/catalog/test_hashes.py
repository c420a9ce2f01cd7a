"""Hashes of model files: what others call them by, looked up by any, made in the background and in nobody's way."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest

from tests.catalog.conftest import SD1, write_folder, write_weights
from webui.catalog.background import BackgroundHasher
from webui.catalog.catalog import Catalog
from webui.catalog.hashes import CHUNK_BYTES, HashStore, read_hashes
from webui.core.errors import Cancelled, ModelError, NotFound
from webui.core.settings import Settings


@pytest.mark.parametrize("size", [10, 0x100000, 0x100000 + 5, CHUNK_BYTES, CHUNK_BYTES * 2 + 3])
def test_all_hashes_come_from_one_reading(tmp_path: Path, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    file = tmp_path / "a.ckpt"
    file.write_bytes(data[:size])
    found = read_hashes(file)
    old = data[:size][0x100000:0x110000]
    assert found.sha256 == hashlib.sha256(data[:size]).hexdigest()
    assert found.old == (hashlib.sha256(old).hexdigest()[:8] if old else "")
    assert found.tensors == ""


@pytest.mark.parametrize("table", [40, CHUNK_BYTES - 8, CHUNK_BYTES + 100])
def test_auto_v3_leaves_the_table_out(tmp_path: Path, table: int) -> None:
    file, data = tmp_path / "a.safetensors", bytes(range(256)) * 300
    file.write_bytes(table.to_bytes(8, "little") + b"{" * table + data)
    assert read_hashes(file).tensors == hashlib.sha256(data).hexdigest()
    file.write_bytes((table + 1).to_bytes(8, "little") + b"{" * (table + 1) + data)
    assert read_hashes(file).auto_v3 == hashlib.sha256(data).hexdigest()[:12]


def test_a_model_is_found_by_any_of_its_hashes(settings: Settings, models: Path) -> None:
    write_weights(models / "loras" / "style.safetensors", {"lora_unet_a.hada_w1_a": (1024, 1024)})
    other = write_weights(models / "loras" / "other.safetensors", {"lora_unet_a.hada_w1_a": (1024, 1025)})
    with other.open("r+b") as stream:
        stream.seek(0x100001)
        stream.write(b"other weights")
    catalog = Catalog(settings)
    entry = catalog.hashed(catalog.resolve("style"))
    catalog.hashed(catalog.resolve("other"))
    assert entry.short_hash == entry.sha256[:10]
    for text in (entry.sha256, entry.short_hash, entry.auto_v3, entry.old_hash, entry.short_hash.upper()):
        assert len(text) >= 8
        assert catalog.resolve(text, "lora").ref == "loras/style.safetensors"
    assert catalog.resolve(f"renamed since [{entry.short_hash}]").ref == "loras/style.safetensors"
    assert catalog.resolve(f"other [{entry.short_hash}]").ref == "loras/other.safetensors", "a name goes first"
    with pytest.raises(NotFound):
        catalog.resolve("0123456789")
    assert {row.short_hash for row in catalog.entries()} >= {entry.short_hash}, "the list knows without a refresh"


def test_copies_of_a_file_are_one_model_to_a_hash(settings: Settings, models: Path) -> None:
    for name in ("a", "b"):
        write_weights(models / name / "same.safetensors", SD1)
    catalog = Catalog(settings)
    for entry in catalog.entries():
        catalog.hashed(entry)
    assert catalog.resolve(catalog.entries()[0].sha256).ref == "a/same.safetensors"
    write_weights(models / "c.safetensors", {"lora_unet_a.hada_w1_a": (8, 8)}, metadata={"k": "v"})
    write_weights(models / "d.safetensors", {"lora_unet_a.hada_w1_a": (8, 8)})
    catalog.refresh()
    last = [catalog.hashed(catalog.resolve(name)) for name in "cd"]
    with pytest.raises(ModelError, match="may mean any of"):  # the same tensors, other metadata
        catalog.resolve(last[0].tensors_sha256)


def test_the_background_hashes_all_and_ends_when_told(settings: Settings, models: Path) -> None:
    write_folder(models / "starter" / "avatar")
    write_weights(models / "checkpoints" / "a.safetensors", SD1)
    (models / "checkpoints" / "bad.safetensors").write_bytes(b"<html>")
    catalog = Catalog(settings)
    hasher = BackgroundHasher(catalog, rest=0.0, again_s=0.01)
    hasher.start()
    until = time.monotonic() + 10
    while not all(entry.sha256 for entry in catalog.entries() if entry.usable) and time.monotonic() < until:
        time.sleep(0.01)
    hasher.stop()
    assert [bool(entry.sha256) for entry in catalog.entries()] == [True, False, True]
    stored = json.loads((settings.data_dir / "cache" / "model_hashes.json").read_text())
    assert len(stored) == 4
    assert all(entry.sha256 for entry in Catalog(settings).entries() if entry.usable)


def test_a_stop_in_the_middle_of_a_file_keeps_what_was_whole(
    settings: Settings, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.catalog.hashes.CHUNK_BYTES", 64)
    write_weights(models / "a.safetensors", SD1 | {"x": (2, 2)})
    write_weights(models / "b.safetensors", SD1)
    catalog = Catalog(settings)
    busy = threading.Event()
    hasher = BackgroundHasher(catalog, busy.is_set, rest=0.0)
    catalog.hashed(catalog.resolve("a"), write=False)
    busy.set()
    hasher.start()
    time.sleep(0.1)
    assert not catalog.resolve("b").sha256, "nothing is read while a job runs"
    start = time.monotonic()
    hasher.stop()
    assert time.monotonic() - start < 2.0
    later = Catalog(settings)
    assert [bool(entry.sha256) for entry in later.entries()] == [True, False]
    with pytest.raises(Cancelled):
        hasher.hash_all()


def test_two_processes_keep_each_others_rows(tmp_path: Path) -> None:
    one, two = HashStore(tmp_path / "t.json"), HashStore(tmp_path / "t.json")
    for name in "ab":
        (tmp_path / name).write_text(name)
    assert one.known_file(tmp_path / "a") is None
    assert two.known_file(tmp_path / "b") is None
    one.file(tmp_path / "a")
    two.file(tmp_path / "b")
    assert set(json.loads((tmp_path / "t.json").read_text())) == {str(tmp_path / "a"), str(tmp_path / "b")}
