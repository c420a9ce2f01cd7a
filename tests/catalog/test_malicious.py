"""Files that would run code when they are opened: each is refused with a reason, and the canary shows nothing ran."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.conftest import table
from webui.catalog.catalog import Catalog
from webui.catalog.headers import read_header
from webui.catalog.torch_files import read_torch
from webui.core.errors import ModelError
from webui.core.settings import Settings


def zipped(data: bytes, extra: dict[str, bytes] | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """The archive that torch.save would write around ``data``."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
        for name, body in (extra or {}).items():
            archive.writestr(name, body)
    return stream.getvalue()


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


class Reduced:
    """Pickles as a call of ``function``."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def attacks(canary: Path) -> dict[str, bytes]:
    import importlib
    import os
    import subprocess

    touch, code = f"touch {canary}", f"open({str(canary)!r}, 'w').close()"
    found = {
        "os.system": pickle.dumps(Reduced(os.system, touch)),
        "os.system, protocol 0": f"cos\nsystem\n(S'{touch}'\ntR.".encode(),
        "builtins.exec": pickle.dumps(Reduced(exec, code)),
        "builtins.eval in a table": pickle.dumps({"a": [1, {"weight": Reduced(eval, code)}]}),
        "subprocess": pickle.dumps(Reduced(subprocess.check_call, ["touch", str(canary)])),
        "import": pickle.dumps(Reduced(importlib.import_module, "antigravity")),
        "INST": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "OBJ": b"(" + b"cos\nsystem\n" + text(touch) + b"o.",
        "STACK_GLOBAL": b"\x80\x04" + text("os") + text("system") + b"\x93" + text(touch) + b"\x85R.",
        "NEWOBJ": b"\x80\x02csubprocess\nPopen\n" + text(f"touch {canary}") + b"\x85\x81.",
        "getattr of an allowed module": b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\n" + text("x") + b"\x86R.",
        "dotted name": b"\x80\x04"
        + text("collections")
        + text("OrderedDict.fromkeys")
        + b"\x93"
        + text("x")
        + b"\x85R.",
        "call of a call": b"\x80\x02ccollections\nOrderedDict\n)R)R.",
        "computed name": b"\x80\x04ccollections\nOrderedDict\n)R" + text("system") + b"\x93.",
        "the copyreg registry": b"\x80\x02\x82\x01.",
        "out-of-band buffer": b"\x80\x05\x97.",
        "torch.load within": b"\x80\x02ctorch\nload\n" + text("x") + b"\x85R.",
        "torch.jit": b"\x80\x02ctorch.jit\n_load\n" + text("x") + b"\x85R.",
    }
    return {**found, **{f"{name}, in an archive": zipped(data) for name, data in found.items()}}


@pytest.mark.parametrize("name", attacks(Path("x")))
def test_nothing_is_run(settings: Settings, models: Path, tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    file = models / "checkpoints" / "bad.ckpt"
    file.parent.mkdir()
    file.write_bytes(attacks(canary)[name])
    (entry,) = Catalog(settings).entries()
    assert entry.problem
    with pytest.raises(ModelError, match=r"would run|calls the result|computes the name|opcode"):
        read_torch(file)
    assert not canary.exists()


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """The same bytes do run in an ordinary unpickler."""
    for name in ("os.system", "os.system, protocol 0", "builtins.exec", "INST", "OBJ", "STACK_GLOBAL", "subprocess"):
        canary = tmp_path / "canary"
        pickle.loads(attacks(canary)[name])
        assert canary.exists(), name
        canary.unlink()


STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00K\x04\x85K\x01\x85\x89)tR"
HARMLESS = b"\x80\x02}" + text("w") + TENSOR + b"s."
# Each table holds the one before twice: 2 ** 22 values in 200 bytes.
LAUGHS = (
    text("a")
    + b"K\x01s"
    + b"".join(
        b"q" + bytes([n]) + b"}" + text("a") + b"h" + bytes([n]) + b"s" + text("b") + b"h" + bytes([n]) + b"s"
        for n in range(22)
    )
)
DATA = {"archive/data/0": bytes(16)}


def test_the_harmless_twin_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(zipped(HARMLESS, DATA))
    assert {key: (row.dtype, row.shape) for key, row in read_torch(tmp_path / "a.pt").items()} == {"w": ("F32", (4,))}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (zipped(HARMLESS, {**DATA, "archive/code/__torch__.py": b"import os"}), "TorchScript"),
        (zipped(HARMLESS, {**DATA, "archive/constants.pkl": b"N."}), "TorchScript"),
        (zipped(HARMLESS, {"archive/data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED), "compressed"),
        (zipped(HARMLESS, {"archive/data/0": bytes(12)}), "beyond its storage"),
        (zipped(HARMLESS), "damaged at tensor 'w'"),
        (zipped(HARMLESS.replace(b"storage", b"malware"), DATA), "no storage"),
        (zipped(b"\x80\x02}" + text("w") + b"N" + b"s.", DATA), "holds no tensors"),
        (zipped(HARMLESS, DATA)[:-40], "cut off or damaged"),
        (zipped(HARMLESS[:-20], DATA), "cut off"),
        (zipped(b"\x80\x04\x8e" + (2**62).to_bytes(8, "little"), DATA), "cut off"),
        (zipped(b"\x80\x04\x8d" + (2**62).to_bytes(8, "little"), DATA), "no model needs one"),
        (zipped(b"\x80\x02Nr\xff\xff\xff\xff0.", DATA), "damaged"),
        (zipped(b"\x80\x02" + b"]" * 10 + b"." + b"\xee", DATA), "holds no tensors"),
        (zipped(b"\x80\x02}" + (text("a") + b"}") * 40 + b"s" * 40 + b".", DATA), "no tensors|nested deeper"),
        (zipped(b"\x80\x02}" + LAUGHS + b"."), "unfolds|nested"),
        (b"", "empty"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS pointer"),
        (b"GGUF" + bytes(20), "GGUF"),
        (b"not a model", "no pickle|damaged"),
    ],
)
def test_bombs_disguises_and_damage(tmp_path: Path, body: bytes, words: str) -> None:
    (tmp_path / "a.pt").write_bytes(body)
    with pytest.raises(ModelError, match=words):
        read_torch(tmp_path / "a.pt")


def test_a_table_that_contains_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(zipped(b"\x80\x02}q\x00" + text("a") + b"h\x00s."))
    with pytest.raises(ModelError, match="nested deeper"):
        read_torch(tmp_path / "a.pt")


def test_a_pickle_in_the_metadata_of_safetensors_stays_text(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    rows = {"__metadata__": {"config": f"cos\nsystem\n(S'touch {canary}'\ntR."}, **table({"a": (2, 2)})}
    raw = json.dumps(rows).encode()
    (tmp_path / "a.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(8))
    assert read_header(tmp_path / "a.safetensors").metadata["config"].startswith("cos")
    assert not canary.exists()
