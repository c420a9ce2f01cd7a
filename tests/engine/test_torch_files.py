"""Files that torch itself saved, read without unpickling: the same tensors, the same sharing."""

from __future__ import annotations

import contextlib
import pickle
import random
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from webui.catalog.torch_files import read_torch, torch_values
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


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_plain_pickle_holds_the_storages_that_torch_put_into_it(tmp_path: Path, protocol: int) -> None:
    large, small = torch.randn(40, 50), torch.arange(3)
    network = torch.nn.BatchNorm1d(5)
    saved = {"large": large, "view": large[3:9, ::2], "small": small, "network": network, "half": large.half()}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(saved, protocol=protocol))
    found = load_torch(tmp_path / "a.pkl")
    for name in ("large", "view", "small", "half"):
        assert found[name].dtype == saved[name].dtype
        assert torch.equal(found[name], saved[name]), name
    assert torch.equal(found["network.running_var"], network.running_var)


def test_a_storage_in_a_pickle_is_a_storage_alone(tmp_path: Path) -> None:
    raw = pickle.dumps({"a": torch.zeros(2000)}, protocol=4)
    at = raw.index(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
    (tmp_path / "a.pkl").write_bytes(raw[:at] + b"\x80\x02N." + raw[at + 4 :])
    with pytest.raises(ModelError, match=r"in the place of a storage|damaged"):
        read_torch(tmp_path / "a.pkl")


def test_values_beside_the_tensors(tmp_path: Path) -> None:
    network = torch.nn.Conv2d(3, 4, 5)
    network.made_with = {"kernel": 5, "names": ["a", "b"], "rate": 0.5, "none": None, "weights": torch.ones(2)}
    saved = {"g": network, "step": 7, "text": "x" * 5000}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(saved, protocol=4))
    assert torch_values(tmp_path / "a.pkl", "g.made_with.") == {
        "g.made_with.kernel": 5,
        "g.made_with.names": ("a", "b"),
        "g.made_with.rate": 0.5,
        "g.made_with.none": None,
    }
    everything = torch_values(tmp_path / "a.pkl")
    assert everything["step"] == 7
    assert everything["g.kernel_size"] == (5, 5)
    assert "text" not in everything


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
