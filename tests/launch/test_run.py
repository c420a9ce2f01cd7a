"""tests/run.py: which Chromium the browser tests get, and when the system's package is installed for them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

RUN = Path(__file__).resolve().parents[1] / "run.py"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs it meets here are shell scripts")


@pytest.fixture
def run() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_checks", RUN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, with what apt-get's stand-in needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("sh", "env", "touch", "cp"):
        (folder / tool).symlink_to(
            next(path for path in map(Path, (f"/bin/{tool}", f"/usr/bin/{tool}")) if path.exists())
        )
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return folder


def add_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def add_package_manager(bin_dir: Path, *, needs_update: bool) -> Path:
    """An apt-get that installs a Chromium which starts, at once or after an update. Answers its log."""
    log, lists = bin_dir / "log", bin_dir / "lists"
    ready = add_program(bin_dir / "ready", "echo Chromium 150")
    if not needs_update:
        lists.touch()
    script = f"""echo "$DEBIAN_FRONTEND $*" >> {log}
    if [ "$1" = update ]; then touch {lists}; else [ -e {lists} ] && cp {ready} {bin_dir / "chromium"}; fi"""
    add_program(bin_dir / "apt-get", script)
    add_program(bin_dir / "sudo", 'shift; exec "$@"')  # asked for where the tests do not run as root
    return log


def test_system_chromium_is_found(run: ModuleType, bin_dir: Path) -> None:
    add_program(bin_dir / "chromium", "exit 1")
    found = add_program(bin_dir / "google-chrome", "echo Google Chrome 150")
    assert run.browser_environment(may_install=True) == {"CHROMIUM": str(found)}


def test_named_chromium_goes_first(run: ModuleType, bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_program(bin_dir / "chromium", "echo Chromium 150")
    named = add_program(bin_dir / "mine", "echo Chromium 151")
    monkeypatch.setenv("CHROMIUM", str(named))
    assert run.browser_environment(may_install=False) == {"CHROMIUM": str(named)}


def test_wrongly_named_chromium_is_said_and_nothing_installed(
    run: ModuleType, bin_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = add_package_manager(bin_dir, needs_update=False)
    monkeypatch.setenv("CHROMIUM", "/nonexistent/chromium")
    said = run.browser_environment(may_install=True)
    assert "'/nonexistent/chromium'" in said["LIFELIKE_NO_CHROMIUM_REASON"]
    assert not log.exists()


def test_missing_chromium_is_installed(run: ModuleType, bin_dir: Path) -> None:
    log = add_package_manager(bin_dir, needs_update=False)
    assert run.browser_environment(may_install=True) == {"CHROMIUM": str(bin_dir / "chromium")}
    assert log.read_text(encoding="utf-8") == "noninteractive install -y --no-install-recommends chromium\n"


def test_stale_package_lists_are_updated(run: ModuleType, bin_dir: Path) -> None:
    log = add_package_manager(bin_dir, needs_update=True)
    assert run.browser_environment(may_install=True) == {"CHROMIUM": str(bin_dir / "chromium")}
    words = [line.split()[1] for line in log.read_text(encoding="utf-8").splitlines()]
    assert words == ["install", "update", "install"]


def test_reasons_where_there_is_no_chromium(run: ModuleType, bin_dir: Path) -> None:
    for may_install in (True, False):
        reason = run.browser_environment(may_install=may_install)["LIFELIKE_NO_CHROMIUM_REASON"]
        assert "no Chromium was found" in reason
        assert "apt install chromium" in reason
    log = add_package_manager(bin_dir, needs_update=False)
    assert "LIFELIKE_NO_CHROMIUM_REASON" in run.browser_environment(may_install=False)
    assert not log.exists()


def test_failed_installation_is_the_reason(run: ModuleType, bin_dir: Path) -> None:
    add_program(bin_dir / "apt-get", "exit 100")
    add_program(bin_dir / "sudo", 'shift; exec "$@"')
    reason = run.browser_environment(may_install=True)["LIFELIKE_NO_CHROMIUM_REASON"]
    assert "apt-get could not install it" in reason


def test_arguments_go_to_pytest_alone(run: ModuleType, bin_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_program(bin_dir / "chromium", "echo Chromium 150")
    add_program(bin_dir / "python", f'echo "$CHROMIUM $*" > {bin_dir / "said"}; exit 5')
    monkeypatch.setattr(run.sys, "executable", str(bin_dir / "python"))
    assert run.main(["tests/queue", "-k", "a b"]) == 5
    assert (bin_dir / "said").read_text(encoding="utf-8") == f"{bin_dir / 'chromium'} -m pytest tests/queue -k a b\n"


def test_every_check_runs_though_one_fails(
    run: ModuleType, bin_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_program(bin_dir / "chromium", "echo Chromium 150")
    add_program(bin_dir / "python", f'echo "$2 $3" >> {bin_dir / "said"}; [ "$2" != mypy ]')
    monkeypatch.setattr(run.sys, "executable", str(bin_dir / "python"))
    assert run.main([]) == 1
    ran = (bin_dir / "said").read_text(encoding="utf-8").splitlines()
    assert [line.strip() for line in ran] == ["ruff check", "ruff format", "mypy", "tests.audit", "pytest"]
    said = capsys.readouterr().err
    assert "== passed: ruff check, ruff format, pip-audit, pytest" in said
    assert "== FAILED: mypy" in said
