"""Weights files by their bytes: whole ones are read, each damage is told apart in words."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.conftest import SD1, table, write_weights
from webui.catalog.headers import HEADER_LIMIT_BYTES, read_header
from webui.core.errors import ModelError


def raw_file(path: Path, length: int, body: bytes) -> Path:
    path.write_bytes(length.to_bytes(8, "little") + body)
    return path


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    header = read_header(write_weights(tmp_path / "m.safetensors", SD1, metadata={"format": "pt"}))
    assert dict(header.shapes) == SD1
    assert header.metadata == {"format": "pt"}
    assert header.dtypes == {"F16"}
    assert header.has("first_stage_model.")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "cut off"),
        (b"abc", "cut off"),
        (b"PK\x03\x04" + bytes(60), "pickle"),
        (b"\x80\x02}q\x00X" + bytes(60), "pickle"),
        (b"GGUF" + bytes(60), "GGUF"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS pointer"),
        (b"just some text that is long enough to be looked at", "does not begin like safetensors"),
    ],
)
def test_what_is_no_safetensors_is_named(tmp_path: Path, body: bytes, words: str) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(body)
    with pytest.raises(ModelError, match=words):
        read_header(path)


@pytest.mark.parametrize("length", [10**6, HEADER_LIMIT_BYTES + 1, 2**63 + 5, 2**64 - 1])
def test_a_length_beyond_the_file_is_not_followed(tmp_path: Path, length: int) -> None:
    with pytest.raises(ModelError, match="cut off or damaged"):
        read_header(raw_file(tmp_path / "m.safetensors", length, b'{"a": 1}' + bytes(100)))


@pytest.mark.parametrize("body", [b"[1, 2]", b'"text"', b"3"])
def test_a_table_that_is_no_object_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ModelError, match="expected an object"):
        read_header(raw_file(tmp_path / "m.safetensors", len(body), body))


@pytest.mark.parametrize("body", [b"{nonsense}", b"[" * 100_000, b"\xff\xfe\xff"])
def test_a_table_that_is_no_json_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ModelError):
        read_header(raw_file(tmp_path / "m.safetensors", len(body), body))


def test_missing_data_is_counted(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="100 bytes of its tensors are missing"):
        read_header(write_weights(tmp_path / "m.safetensors", SD1, missing_bytes=100))


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [-1, 4]},
        {"shape": "4"},
        {"shape": [1.5]},
        {"data_offsets": [4, 2]},
        {"data_offsets": [0]},
        {"data_offsets": [0, 6]},
        {"data_offsets": ["0", "8"]},
        {"dtype": None, "data_offsets": [-8, 0]},
    ],
)
def test_a_row_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    rows = table({"a": (2, 2)})
    rows["a"].update(change)
    raw = json.dumps(rows).encode()
    with pytest.raises(ModelError, match="damaged at tensor 'a'"):
        read_header(raw_file(tmp_path / "m.safetensors", len(raw), raw + bytes(8)))


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_else(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        assert read_header(path).shapes == {}
