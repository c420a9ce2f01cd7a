"""The device: chosen by name or by what works, in a precision that suits it, within the memory the process may use."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from webui.core.errors import SetupError
from webui.core.settings import Settings
from webui.engine import device as device_module
from webui.engine.attention import choose, probe
from webui.engine.device import (
    choose_device,
    configure_environment,
    configure_torch,
    device_status,
    fresh_state,
    present_kinds,
    processor_name,
    suited_dtype,
)
from webui.engine.memory import Memory, group_memory, machine_memory, usable_cores


def settings(tmp_path: Path, **values: object) -> Settings:
    return Settings.model_validate({"data_dir": tmp_path, **values})


# Choice


def test_the_processor_computes_in_fp32(tmp_path: Path) -> None:
    device = choose_device(settings(tmp_path, device="cpu"))
    assert (device.kind, device.dtype, device.dtype_name) == ("cpu", torch.float32, "float32")
    assert device.recipe() == {"class": "cpu", "name": device.name, "dtype": "float32"}


def test_auto_takes_the_best_that_is_there(tmp_path: Path) -> None:
    device = choose_device(settings(tmp_path))
    assert device.kind == present_kinds()[0]


def test_auto_passes_over_a_device_that_does_not_compute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "present_kinds", lambda: ("cuda", "cpu"))
    monkeypatch.setattr(device_module, "_trial", lambda one: "no kernel image" if one.type == "cuda" else "")
    device = choose_device(settings(tmp_path))
    assert device.kind == "cpu"
    assert device.note == "cuda is there but does not compute: no kernel image"


@pytest.mark.parametrize("wanted", ["quantum", "mps:7:1", "cuda:99"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(SetupError, match=f"device '{wanted}'") as caught:
        choose_device(settings(tmp_path, device=wanted))
    assert "cpu" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "has_bf16", "expected"),
    [
        ("cpu", True, torch.float32),
        ("cuda", True, torch.bfloat16),
        ("cuda", False, torch.float16),
        ("mps", True, torch.bfloat16),
        ("mps", False, torch.float16),
    ],
)
def test_precision(kind: str, has_bf16: bool, expected: torch.dtype) -> None:
    assert suited_dtype(kind, has_bf16) is expected


def test_status_is_rounded_so_that_it_is_news_only_when_it_changes(tmp_path: Path) -> None:
    status = device_status(choose_device(settings(tmp_path, device="cpu")), models_bytes=5, attention="native")
    assert status.memory_total_bytes is not None
    assert status.memory_used_bytes is not None
    assert 0 < status.memory_used_bytes <= status.memory_total_bytes
    assert status.memory_used_bytes % 2**24 == 0
    assert (status.kind, status.dtype, status.models_bytes, status.attention) == ("cpu", "float32", 5, "native")


def test_processor_name_has_a_fallback(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor: 0\nmodel name\t: Abacus 3000\n", encoding="utf-8")
    assert processor_name(tmp_path / "cpuinfo") == "Abacus 3000"
    assert processor_name(tmp_path / "none")


# Process-wide state


def test_environment_keeps_libraries_quiet_and_offline(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    configure_environment(settings(tmp_path), environ)
    assert environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert "HF_HUB_OFFLINE" not in environ
    configure_environment(settings(tmp_path, offline=True, deterministic=True), environ)
    assert environ["HF_HUB_OFFLINE"] == environ["TRANSFORMERS_OFFLINE"] == "1"
    assert environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_deterministic_refuses_what_cannot_repeat(tmp_path: Path) -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32)
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32 = True, False, True, True
    try:
        configure_torch(settings(tmp_path, deterministic=True))
        assert torch.get_num_threads() == usable_cores()
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert (cudnn.benchmark, cudnn.deterministic) == (False, True)
        assert (cudnn.allow_tf32, matmul.allow_tf32) == (False, False)
    finally:
        torch.set_deterministic_debug_mode("default")
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32 = before


def test_one_job_never_sees_what_another_left() -> None:
    draws = []
    for _ in range(2):
        with fresh_state({"seed": 7}):
            draws.append((random.random(), float(torch.rand(1)), float(np.random.rand())))
            torch.set_grad_enabled(False)
            torch.set_default_dtype(torch.float64)
        assert torch.is_grad_enabled()
        assert torch.get_default_dtype() is torch.float32
    assert draws[0] == draws[1]
    with fresh_state({"seed": 2**63 - 1}), fresh_state({"seed": None}):
        pass


# Memory


def group(base: Path, **files: str) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (base / name.replace("_", ".", 1)).write_text(text + "\n", encoding="utf-8")
    return base


def test_a_control_group_of_version_2_bounds_memory(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("0::/box/inner\n", encoding="utf-8")
    group(tmp_path / "cg" / "box", memory_max="1000", memory_current="700", memory_stat="anon 5\ninactive_file 200")
    group(tmp_path / "cg" / "box" / "inner", memory_max="max", memory_current="300")
    assert group_memory(tmp_path / "cg", tmp_path / "me") == Memory(1000, 500)
    memory = machine_memory(tmp_path / "cg", tmp_path / "me")
    assert (memory.total_bytes, memory.used_bytes, memory.free_bytes) == (1000, 500, 500)


def test_a_control_group_of_version_1_bounds_memory(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("9:cpu,cpuacct:/\n4:memory:/box\n0::/\n", encoding="utf-8")
    base = tmp_path / "cg" / "memory" / "box"
    base.mkdir(parents=True)
    for name, text in (("limit", "4000"), ("usage", "1500")):
        (base / f"memory.{name}_in_bytes").write_text(text, encoding="utf-8")
    (base / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 500\n", encoding="utf-8")
    assert group_memory(tmp_path / "cg", tmp_path / "me") == Memory(4000, 1000)


def test_a_group_without_a_limit_leaves_the_machine_s(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("4:memory:/\n", encoding="utf-8")
    base = tmp_path / "cg" / "memory"
    base.mkdir(parents=True)
    (base / "memory.limit_in_bytes").write_text("9223372036854771712\n", encoding="utf-8")
    assert group_memory(tmp_path / "cg", tmp_path / "me") == Memory()
    assert machine_memory(tmp_path / "cg", tmp_path / "me").total_bytes == psutil.virtual_memory().total
    assert machine_memory(tmp_path / "none", tmp_path / "none").free_bytes


def test_cores_are_those_the_group_pays_for(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("0::/box\n", encoding="utf-8")
    group(tmp_path / "cg" / "box", cpu_max="50000 100000")
    group(tmp_path / "cg", cpu_max="max 100000")
    assert usable_cores(tmp_path / "cg", tmp_path / "me") == 1
    assert usable_cores(tmp_path / "none", tmp_path / "none") >= 1


def test_cores_of_a_version_1_group(tmp_path: Path) -> None:
    (tmp_path / "me").write_text("3:cpu,cpuacct:/\n", encoding="utf-8")
    group(tmp_path / "cg" / "cpu", cpu_cfs_quota_us="100000", cpu_cfs_period_us="100000")
    assert usable_cores(tmp_path / "cg", tmp_path / "me") == 1


# Attention


def test_each_backend_is_tried_and_says_why_not(tmp_path: Path) -> None:
    device = choose_device(settings(tmp_path, device="cpu"))
    already = "xformers" in sys.modules  # diffusers imports it, and another test may have imported diffusers
    reports = {report.name: report for report in probe(device)}
    assert list(reports) == [
        "native", "_native_flash", "_native_efficient", "_native_cudnn", "xformers", "sage", "sliced",
    ]  # fmt: skip
    assert reports["native"].usable
    assert reports["sliced"].usable
    assert reports["xformers"].reason == "needs cuda, this device is cpu"
    assert all(report.reason for report in reports.values() if not report.usable)
    assert ("xformers" in sys.modules) is already


def test_a_backend_that_computes_nonsense_is_not_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = choose_device(settings(tmp_path, device="cpu"))
    assert choose(device) == "native"
    wrong = lambda query, key, value: query * float("nan")  # noqa: E731
    monkeypatch.setattr("webui.engine.attention.scaled_dot_product_attention", wrong)
    assert choose(device) == "sliced"
    assert "wrong results" in probe(device)[0].reason


def test_a_backend_that_raises_is_not_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*tensors: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no kernel\nwith details")

    monkeypatch.setattr("webui.engine.attention.scaled_dot_product_attention", broken)
    assert probe(choose_device(settings(tmp_path, device="cpu")))[0].reason == "fails here: no kernel"
