"""Damaged, mislabelled and odd files: each is listed with its reason, none is usable, and the others stay listed."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.conftest import SD1, table, write_folder, write_weights
from webui.catalog.catalog import Catalog
from webui.catalog.gguf import gguf_header
from webui.core.settings import Settings


def packed(rows: Mapping[str, Any] | bytes, data: bytes = bytes(16)) -> bytes:
    raw = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def row(first: int, last: int, dtype: str = "F16", shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape or [(last - first) // 2], "data_offsets": [first, last]}


def gguf(
    version: int = 3,
    tensors: int = 1,
    kind: int = 1,
    offset: int = 0,
    data: int = 64,
    axes: int = 2,
    alignment: str = "",
    name: str = "double_blocks.0.img_attn.qkv.weight",
) -> bytes:
    """A GGUF file of one 4 x 8 tensor, with a text and an array in its metadata."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    pairs = text("general.architecture") + struct.pack("<I", 8) + text("flux")
    pairs += text("list") + struct.pack("<IIQ", 9, 4, 2) + struct.pack("<II", 1, 2)
    if alignment:
        pairs += text("general.alignment") + struct.pack("<I", 8) + text(alignment)
    line = text(name) + struct.pack("<I", axes) + struct.pack("<QQ", 4, 8)
    head = (
        b"GGUF"
        + struct.pack("<IQQ", version, tensors, 3 if alignment else 2)
        + pairs
        + line
        + struct.pack("<IQ", kind, offset)
    )
    return head + bytes(-len(head) % 32) + bytes(data)


WHOLE = packed(table({"a": (2, 2), "b": (2, 2)}))
DAMAGE: Mapping[str, tuple[str, bytes, str]] = {
    "empty": ("safetensors", b"", "cut off"),
    "seven bytes": ("safetensors", bytes(7), "cut off"),
    "no table": ("safetensors", bytes(8), "does not begin like"),
    "cut within the length": ("safetensors", WHOLE[:5], "cut off"),
    "cut within the table": ("safetensors", WHOLE[:40], "cut off or damaged"),
    "cut within the data": ("safetensors", WHOLE[:-1], "1 bytes of its tensors are missing"),
    "length lies upwards": ("safetensors", (10**9).to_bytes(8, "little") + WHOLE[8:], "cut off or damaged"),
    "length lies downwards": ("safetensors", (20).to_bytes(8, "little") + WHOLE[8:], "damaged"),
    "length of 2**64 - 1": ("safetensors", b"\xff" * 8 + WHOLE[8:], "cut off or damaged"),
    "overlapping offsets": ("safetensors", packed({"a": row(0, 8), "b": row(4, 12)}), "on the same bytes"),
    "same offsets": ("safetensors", packed({"a": row(0, 8), "b": row(0, 8)}), "on the same bytes"),
    "reversed offsets": ("safetensors", packed({"a": row(8, 0, shape=[4])}), "damaged at tensor 'a'"),
    "negative offset": ("safetensors", packed({"a": row(-8, 0, shape=[4])}), "damaged at tensor 'a'"),
    "wrong dtype for its bytes": ("safetensors", packed({"a": row(0, 8, "F32", [4])}), "damaged at tensor 'a'"),
    "shape too large for its bytes": ("safetensors", packed({"a": row(0, 8, shape=[2**40])}), "damaged at tensor 'a'"),
    "duplicate keys": ("safetensors", packed(b'{"a": {}, "a": {}}'), "names 'a' twice"),
    "not UTF-8": ("safetensors", packed(b'{"\xff\xfe": 1}'), "damaged"),
    "a list for a table": ("safetensors", packed(b"[1]"), "expected an object"),
    "deep nesting": ("safetensors", packed(b'{"a":' * 50_000), "damaged|cut off"),
    "no names that are known": ("safetensors", WHOLE, "no kind of model"),
    "LFS pointer": (
        "safetensors",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
        "LFS pointer",
    ),
    "HTML error page": ("safetensors", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "web page"),
    "XML error": ("safetensors", b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
    "archive under this name": ("safetensors", b"PK\x03\x04" + bytes(64), "pickle"),
    "pickle under this name": ("safetensors", b"\x80\x02}q\x00." + bytes(64), "pickle"),
    "GGUF under this name": ("safetensors", gguf(), "GGUF"),
    "LFS pointer as ckpt": ("ckpt", b"version https://git-lfs.github.com/spec/v1\n", "LFS pointer"),
    "HTML as ckpt": ("ckpt", b"<html>", "web page"),
    "safetensors as ckpt": ("ckpt", WHOLE, "no pickle|damaged"),
    "archive cut": ("pt", b"PK\x03\x04" + bytes(64), "archive is cut off or damaged"),
    "GGUF cut": ("gguf", gguf()[:60], "cut off"),
    "GGUF data cut": ("gguf", gguf(data=60), "4 bytes of its tensors are missing"),
    "GGUF of another version": ("gguf", gguf(version=9), "version 9"),
    "GGUF with too many tensors": ("gguf", gguf(tensors=2**60), "no model has so many"),
    "GGUF with too many axes": ("gguf", gguf(axes=2**31), "damaged at tensor"),
    "GGUF that is none": ("gguf", b"<html>" + bytes(40), "does not begin like GGUF"),
    "GGUF of an unknown type": ("gguf", gguf(kind=99), "quantized as GGML_99"),
    "GGUF aligned by a word": ("gguf", gguf(alignment="many"), "aligned by 'many'"),
    "GGUF aligned by zero": ("gguf", gguf(alignment="0"), "aligned by '0'"),
    "GGUF of a text encoder": ("gguf", gguf(name="encoder.block.0.layer.0.SelfAttention.q.weight"), "Only denoisers"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_has_its_reason(settings: Settings, models: Path, name: str) -> None:
    ending, body, words = DAMAGE[name]
    write_weights(models / "checkpoints" / "good.safetensors", SD1)
    (models / "checkpoints" / f"bad.{ending}").write_bytes(body)
    bad, good = Catalog(settings).entries()
    assert good.usable
    assert not bad.usable
    assert re.search(words, bad.problem)


def test_folders_links_and_devices_under_a_models_name(settings: Settings, models: Path) -> None:
    (models / "folder.safetensors").mkdir()
    (models / "loop.safetensors").symlink_to(models / "loop.safetensors")
    (models / "gone.ckpt").symlink_to(models / "nothing")
    os.mkfifo(models / "pipe.safetensors")
    write_folder(models / "whole.safetensors")
    problems = {entry.ref: entry.problem for entry in Catalog(settings).entries()}
    assert "folder or device" in problems["folder.safetensors"]
    assert "folder or device" in problems["pipe.safetensors"]
    assert "cannot be read" in problems["loop.safetensors"]
    assert "cannot be read" in problems["gone.ckpt"]
    assert problems["whole.safetensors"] == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(settings: Settings, models: Path) -> None:
    write_weights(models / "secret.safetensors", SD1).chmod(0)
    (entry,) = Catalog(settings).entries()
    assert "Permission denied" in entry.problem


def test_a_gguf_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(gguf())
    header = gguf_header(tmp_path / "a.gguf")
    assert dict(header.shapes) == {"double_blocks.0.img_attn.qkv.weight": (8, 4)}
    assert header.dtypes == {"F16"}
    assert header.metadata == {"general.architecture": "flux", "list": "2 items"}
