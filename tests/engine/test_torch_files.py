"""Files that torch itself saved, read without unpickling: the same tensors, the same sharing."""

from __future__ import annotations

import contextlib
import random
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from webui.catalog.torch_files import read_torch
from webui.core.errors import ModelError
from webui.engine.torch_files import load_torch


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_every_tensor_comes_back(tmp_path: Path, zipped: bool, dtype: torch.dtype) -> None:
    whole = (torch.arange(24) % 7).to(dtype)
    saved = OrderedDict(
        whole=whole,
        view=whole.reshape(4, 6).t(),
        part=whole[3:9],
        scalar=torch.ones((), dtype=dtype),
        none=torch.empty((0, 3), dtype=dtype),
        parameter=torch.nn.Parameter(whole.clone(), requires_grad=False),
    )
    torch.save({"state_dict": saved, "epoch": 3}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    found = load_torch(tmp_path / "a.pt")
    assert list(found) == list(saved)
    for name, tensor in saved.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor.detach()), name


def test_eight_bit_floats_and_nested_tables(tmp_path: Path) -> None:
    weight = torch.ones(4, 4).to(torch.float8_e4m3fn)
    torch.save({"g_ema": {"a": weight}, "step": 7}, tmp_path / "a.pt")
    found = load_torch(tmp_path / "a.pt", ["g_ema."])
    assert torch.equal(found["g_ema.a"].float(), weight.float())
    assert load_torch(tmp_path / "a.pt", ["d."]) == {}


def test_a_change_does_not_reach_the_file(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pt")
    before = (tmp_path / "a.pt").read_bytes()
    load_torch(tmp_path / "a.pt")["a"].fill_(1)
    assert (tmp_path / "a.pt").read_bytes() == before


@pytest.mark.parametrize("zipped", [True, False])
def test_every_truncation_is_told(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.zeros(100)}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pt").read_bytes()
    for length in range(0, len(whole), 37):
        (tmp_path / "b.pt").write_bytes(whole[:length])
        with pytest.raises(ModelError):
            load_torch(tmp_path / "b.pt")


@pytest.mark.parametrize("zipped", [True, False])
def test_no_change_of_bytes_makes_it_raise_anything_else(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.zeros(6), "b": [1, "t"]}, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pt").read_bytes()
    chance = random.Random(1)
    for _ in range(400):
        changed = bytearray(whole)
        for _ in range(chance.choice((1, 2, 5))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        (tmp_path / "b.pt").write_bytes(changed)
        with contextlib.suppress(ModelError):
            assert len(read_torch(tmp_path / "b.pt")) <= 2
