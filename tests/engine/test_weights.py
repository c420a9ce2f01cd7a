"""Any weights file opened for an extension: mapped tensors of the asked prefixes, reasons for what is not opened."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.catalog.conftest import write_folder
from webui.catalog.catalog import Catalog
from webui.core.errors import ModelError
from webui.core.settings import Settings
from webui.engine.weights import ModelFiles, open_weights


def evil(path: Path, canary: Path) -> Path:
    path.write_bytes(f"cos\nsystem\n(S'touch {canary}'\ntR.".encode())
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.ckpt", "a.PT", "a.bin"])
def test_the_asked_prefixes_come_from_every_format(tmp_path: Path, name: str) -> None:
    tensors = {
        "unet.a": torch.arange(6.0).reshape(2, 3),
        "unet.b": torch.ones(2, dtype=torch.float16),
        "vae.c": torch.ones(1),
    }
    file = tmp_path / name
    if name.endswith(".safetensors"):
        save_file(tensors, str(file))
    else:
        torch.save({"state_dict": tensors}, file)
    found = open_weights(file, ("unet.",))
    assert set(found) == {"unet.a", "unet.b"}
    assert all(torch.equal(found[key], tensors[key]) and found[key].dtype == tensors[key].dtype for key in found)


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.safetensors", b"<html>404</html>" * 9, "damaged"),
        ("a.safetensors", (99).to_bytes(8, "little") + b"{}", "damaged"),
        ("a.gguf", b"GGUF", "no safetensors and no PyTorch"),
        ("a.txt", b"", "no safetensors and no PyTorch"),
        ("a.ckpt", b"PK\x03\x04" + bytes(64), "cut off or damaged"),
    ],
)
def test_what_is_not_opened_says_why(tmp_path: Path, name: str, body: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ModelError, match=words):
        open_weights(tmp_path / name)


def test_nothing_in_a_pickle_is_run(tmp_path: Path) -> None:
    file = evil(tmp_path / "evil.ckpt", tmp_path / "canary")
    for call in (open_weights, ModelFiles(Catalog(Settings(data_dir=tmp_path / "data", models_dirs=()))).shapes):
        with pytest.raises(ModelError, match=r"would run os\.system"):
            call(file)
    assert not (tmp_path / "canary").exists()


def test_a_folder_with_an_evil_pickle_is_listed_and_never_resolved(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "models" / "m")
    (folder / "unet" / "model.safetensors").unlink()
    evil(folder / "unet" / "model.bin", tmp_path / "canary")
    catalog = Catalog(Settings(data_dir=tmp_path / "data", models_dirs=(tmp_path / "models",)))
    (entry,) = catalog.entries()
    assert "unet/model.bin: Opening it would run os.system" in entry.problem
    assert ModelFiles(catalog).listed() == ()
    with pytest.raises(ModelError, match="cannot be used"):
        catalog.resolve("m")
    assert not (tmp_path / "canary").exists()
