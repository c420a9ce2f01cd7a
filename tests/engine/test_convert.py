"""Pickled files made into safetensors: the same tensors, all or nothing, by the engine and by the command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from webui.cli.__main__ import main
from webui.core.errors import Cancelled, Conflict, ModelError
from webui.engine.convert import convert


def saved(path: Path) -> dict[str, torch.Tensor]:
    base = torch.arange(12, dtype=torch.float32)
    tensors = {"a": base, "twin": base, "view": base.reshape(3, 4).t(), "steps": torch.tensor(7), "s": torch.ones(())}
    torch.save({"state_dict": tensors}, path)
    return tensors


def test_tensors_come_back_though_they_shared_memory(tmp_path: Path) -> None:
    tensors = saved(tmp_path / "m.ckpt")
    assert convert(tmp_path / "m.ckpt", tmp_path / "out" / "m.safetensors") == 5
    found = load_file(tmp_path / "out" / "m.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.safetensors"]


def test_half_precision_touches_floats_alone_and_never_overflows(tmp_path: Path) -> None:
    saved(tmp_path / "m.ckpt")
    convert(tmp_path / "m.ckpt", tmp_path / "m.safetensors", half=True)
    found = load_file(tmp_path / "m.safetensors")
    assert (found["view"].dtype, found["steps"].dtype) == (torch.float16, torch.int64)
    torch.save({"big": torch.tensor([1e6])}, tmp_path / "big.pt")
    with pytest.raises(ModelError, match="beyond float16"):
        convert(tmp_path / "big.pt", tmp_path / "big.safetensors", half=True)
    assert not (tmp_path / "big.safetensors").exists()


def test_progress_reaches_the_end_and_may_stop_it(tmp_path: Path) -> None:
    saved(tmp_path / "m.ckpt")
    told: list[tuple[int, int]] = []
    convert(tmp_path / "m.ckpt", tmp_path / "m.safetensors", progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 10) for done in range(1, 11)]

    def stop(done: int, total: int) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        convert(tmp_path / "m.ckpt", tmp_path / "other.safetensors", progress=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"m.ckpt", "m.safetensors"}


def test_every_type_comes_back_and_lies_where_it_may(tmp_path: Path) -> None:
    dtypes = (torch.bool, torch.uint8, torch.float8_e4m3fn, torch.bfloat16, torch.float64, torch.int16, torch.int64)
    tensors = {str(dtype): torch.tensor([1, 0, 1]).to(dtype) for dtype in dtypes}
    torch.save({**tensors, "none": torch.zeros(0, 3)}, tmp_path / "m.pt")
    convert(tmp_path / "m.pt", tmp_path / "m.safetensors")
    found = load_file(tmp_path / "m.safetensors")
    assert all(torch.equal(found[name].view(torch.uint8), row.view(torch.uint8)) for name, row in tensors.items())
    assert found["none"].shape == (0, 3)


def test_nothing_is_overwritten_and_no_pickle_is_run(tmp_path: Path) -> None:
    saved(tmp_path / "m.ckpt")
    (tmp_path / "m.safetensors").write_bytes(b"mine")
    with pytest.raises(Conflict, match="there already"):
        convert(tmp_path / "m.ckpt", tmp_path / "m.safetensors")
    assert (tmp_path / "m.safetensors").read_bytes() == b"mine"
    (tmp_path / "bad.ckpt").write_bytes(f"cos\nsystem\n(S'touch {tmp_path}/canary'\ntR.".encode())
    with pytest.raises(ModelError, match=r"would run os\.system"):
        convert(tmp_path / "bad.ckpt", tmp_path / "bad.safetensors")
    assert not (tmp_path / "canary").exists()


def test_the_command_converts_lists_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = tmp_path / "models"
    models.mkdir()
    torch.save({"<token>": torch.ones(2, 768)}, models / "style.pt")
    places = ["--data-dir", str(tmp_path / "data"), "--models-dir", str(models)]
    assert main(["models", "list", "--broken", *places]) == 0
    assert "style.pt" not in capsys.readouterr().out
    assert main(["models", "convert", "style.pt", *places]) == 0
    assert "1 tensors" in capsys.readouterr().out
    assert main(["models", "rescan", *places]) == 0
    assert "+ 2:style.safetensors" in capsys.readouterr().out
    assert main(["models", "info", "2:style.safetensors", *places]) == 0
    told = capsys.readouterr().out
    assert "embedding" in told
    assert "auto_v3" in told
    assert main(["models", "list", "--family", "sd1", "--kind", "embedding", *places]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["models", "info", "nothing like it", *places]) == 1
