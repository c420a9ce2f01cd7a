"""A pickled model of the list becomes safetensors by a job; nothing is overwritten, run or left half done."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from webui.api import ParameterError
from webui.testing import Outcome, make_studio, run_pipeline


def convert(tmp_path: Path, model: str, **params: object) -> Outcome:
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
    return run_pipeline("model_files.convert", {"model": model, **params}, tmp_path, studio=studio)


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    file = tmp_path / "models" / "embeddings" / "style.pt"
    file.parent.mkdir(parents=True)
    torch.save({"string_to_param": {"*": torch.ones(2, 768)}}, file)
    return file


def test_a_listed_file_gets_a_twin(tmp_path: Path, pickled: Path) -> None:
    outcome = convert(tmp_path, "style", half=True)
    assert outcome.state == "done", outcome.error
    found = load_file(pickled.with_suffix(".safetensors"))
    assert [(name, row.dtype, tuple(row.shape)) for name, row in found.items()] == [
        ("string_to_param.*", torch.float16, (2, 768))
    ]
    assert pickled.exists()
    assert outcome.progress
    again = convert(tmp_path, "embeddings/style.pt")
    assert again.error is not None
    assert "there already" in again.error.message


def test_what_is_no_pickle_or_an_evil_one_is_refused(tmp_path: Path, pickled: Path) -> None:
    pickled.with_name("evil.pt").write_bytes(f"cos\nsystem\n(S'touch {tmp_path}/canary'\ntR.".encode())
    for name in ("evil", str(tmp_path / "elsewhere.pt")):
        with pytest.raises(ParameterError):
            convert(tmp_path, name)
    assert not (tmp_path / "canary").exists()
    assert [path.name for path in pickled.parent.glob("*.safetensors")] == []


def test_a_cancel_leaves_nothing(tmp_path: Path, pickled: Path) -> None:
    studio = make_studio(tmp_path / "data", models_dirs=[tmp_path / "models"])
    outcome = run_pipeline(
        "model_files.convert",
        {"model": "style"},
        tmp_path,
        studio=studio,
        cancel_when=lambda seen: True,
    )
    assert outcome.state == "cancelled"
    assert [path.name for path in pickled.parent.iterdir() if path.suffix != ".pt"] == []
