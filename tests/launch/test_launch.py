"""launch.py as a person meets it: run by a Python outside .venv, in a folder of its own, with indexes on disk."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from tests.launch.conftest import LAUNCH, Project

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the temporary projects are laid out as on POSIX")


@pytest.fixture(scope="module")
def launch() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch", LAUNCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_setup_installs_into_venv_and_no_more(installed: tuple[Project, subprocess.CompletedProcess[str]]) -> None:
    project, done = installed
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "stdout belongs to the commands"
    assert "Start it with: python launch.py" in done.stderr
    assert (project.version("tiny"), project.version("torch")) == ("1.0", "3.0")
    again = project.launch("setup", PIP_INDEX_URL="http://127.0.0.1:9")
    assert (again.returncode, again.stderr) == (0, "Lifelike is installed already.\n")


@pytest.mark.parametrize(
    ("words", "handed_over"),
    [
        ([], ["serve"]),
        (["--port", "8000"], ["serve", "--port", "8000"]),
        (["serve", "--no-browser"], ["serve", "--no-browser"]),
        (["run", "txt2img", "--prompt", "a b", "--help"], ["run", "txt2img", "--prompt", "a b", "--help"]),
    ],
)
def test_second_start_is_silent_and_hands_over(
    installed: tuple[Project, object], tmp_path: Path, words: list[str], handed_over: list[str]
) -> None:
    project, _ = installed
    (tmp_path / "json.py").write_text("raise SystemExit('a file of the working folder was imported')", encoding="utf-8")
    done = project.launch(*words, cwd=tmp_path, PIP_INDEX_URL="http://127.0.0.1:9", PYTHONPATH="/elsewhere")
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["argv"] == handed_over
    assert (said["cwd"], said["prefix"], said["tiny"]) == (str(tmp_path), str(project.root / ".venv"), "1.0")
    assert said["path"][:2] == [str(project.root), "/elsewhere"]


def test_second_start_imports_nothing_heavy(installed: tuple[Project, object]) -> None:
    """What a time limit would say on an idle machine: the way to execve imports a handful of small modules."""
    project, _ = installed
    # -S: what a distribution hangs into its own Python's start is not ours to count.
    command = [project.command()[0], "-I", "-S", "-X", "importtime", *project.command()[1:]]
    done = subprocess.run(command, cwd=project.root, env=project.env, capture_output=True, text=True, timeout=60)
    loaded = {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "json" in loaded, done.stderr
    assert not loaded & {"argparse", "subprocess", "shutil", "pathlib", "typing", "fcntl", "socket"}


def test_exit_status_of_the_command_is_passed_on(project: Project) -> None:
    (project.root / "webui" / "cli.py").write_text("raise SystemExit(2)", encoding="utf-8")
    assert project.launch("run").returncode == 2


def test_changed_requirements_install_the_difference(project: Project) -> None:
    requirements = project.root / "requirements.txt"
    requirements.write_text(requirements.read_text(encoding="utf-8") + "other\n", encoding="utf-8")
    done = project.launch("--port", "1")
    assert done.returncode == 0, done.stderr
    assert "Successfully installed other-1.0" in done.stderr
    assert project.launch().stderr == ""


def test_changed_pin_changes_the_version(project: Project) -> None:
    constraints = project.root / "constraints.txt"
    constraints.write_text(constraints.read_text(encoding="utf-8").replace("tiny==1.0", "tiny==2.0"), encoding="utf-8")
    assert project.launch("setup").returncode == 0
    assert project.version("tiny") == "2.0"


def test_half_installed_package_is_installed_again(project: Project) -> None:
    """A killed pip leaves a package without RECORD, which pip itself takes for installed."""
    (project.root / ".venv" / "lifelike.json").unlink()
    (project.site_packages / "tiny.py").unlink()
    (project.site_packages / "tiny-1.0.dist-info" / "RECORD").unlink()
    (project.site_packages / "~orch").mkdir()
    done = project.launch("setup")
    assert done.returncode == 0, done.stderr
    assert project.version("tiny") == "1.0"
    assert not (project.site_packages / "~orch").exists()


def test_killed_start_is_repaired_and_its_pip_waited_for(project: Project) -> None:
    constraints = project.root / "constraints.txt"
    constraints.write_text(constraints.read_text(encoding="utf-8").replace("tiny==1.0", "tiny==2.0"), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections, never answers: pip hangs
        env = {**project.env, "PIP_INDEX_URL": f"http://127.0.0.1:{mute.getsockname()[1]}"}
        first = subprocess.Popen(project.command("setup"), env=env, stderr=subprocess.PIPE, start_new_session=True)
        mute.settimeout(60)
        connection, _ = mute.accept()
        first.kill()
        first.wait()
        second = subprocess.Popen(project.command("setup"), env=project.env, stderr=subprocess.PIPE, text=True)
        assert second.stderr is not None
        assert "Another start is installing" in second.stderr.readline()
        os.killpg(first.pid, signal.SIGKILL)  # the pip that outlived its launch.py
        connection.close()
        _, said = second.communicate(timeout=120)
        assert first.stderr is not None
        first.stderr.close()
    assert second.returncode == 0, said
    assert project.version("tiny") == "2.0"


@pytest.mark.parametrize("damage", ["base gone", "pip gone"])
def test_broken_venv_is_made_anew(project: Project, damage: str) -> None:
    if damage == "base gone":
        python = project.root / ".venv" / "bin" / "python"
        python.unlink()
        python.symlink_to("/nonexistent/python3.11")
    else:
        shutil.rmtree(project.site_packages / "pip")
        (project.root / ".venv" / "lifelike.json").write_text("{", encoding="utf-8")
    done = project.launch()
    assert done.returncode == 0, done.stderr
    assert "Making" in done.stderr
    assert json.loads(done.stdout)["tiny"] == "1.0"


def test_what_passes_for_a_working_venv(
    installed: tuple[Project, object], launch: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def works(venv: Path) -> bool:
        monkeypatch.setattr(launch, "VENV", str(venv))
        monkeypatch.setattr(launch, "PYTHON", str(venv / "bin" / "python"))
        return bool(launch.venv_works())

    whole = installed[0].root / ".venv"
    assert works(whole)
    assert not works(tmp_path / "absent")
    venv = tmp_path / "venv"
    shutil.copytree(whole, venv, symlinks=True)
    assert works(venv)
    config = venv / "pyvenv.cfg"
    text = config.read_text(encoding="utf-8")
    config.write_text(re.sub(r"(?m)^home = .*$", "home = /nonexistent/bin", text), encoding="utf-8")
    assert not works(venv), "its base Python was removed"
    config.unlink()
    assert not works(venv), "it was killed while it was made"


def test_two_starts_at_once_install_once(project: Project) -> None:
    (project.root / ".venv" / "lifelike.json").unlink()
    starts = [
        subprocess.Popen(project.command("setup"), env=project.env, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    said = [start.communicate(timeout=120)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0]
    assert sum("Installing requirements.txt" in text for text in said) == 1


def test_no_network_names_what_is_missing(project: Project) -> None:
    requirements = project.root / "requirements.txt"
    lines = requirements.read_text(encoding="utf-8") + 'other\nelsewhere; sys_platform == "nowhere"\n'
    requirements.write_text(lines, encoding="utf-8")
    done = project.launch("setup", PIP_INDEX_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "the package index cannot be reached" in done.stderr
    assert "Not installed: other.\n" in done.stderr
    assert "docs/installing.md" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.launch("setup").returncode == 0, "the next start repairs it"


def test_unknown_package_is_no_network_failure(project: Project) -> None:
    (project.root / "requirements.txt").write_text("tiny\nno-such-package-here\n", encoding="utf-8")
    done = project.launch("setup")
    assert done.returncode == 1
    assert "pip failed" in done.stderr
    assert "Not installed: no-such-package-here." in done.stderr
    assert "cannot be reached" not in done.stderr


def test_missing_constraints_is_said(project: Project) -> None:
    (project.root / "constraints.txt").unlink()
    done = project.launch("setup")
    assert done.returncode == 1
    assert "constraints.txt cannot be read" in done.stderr


def test_torch_from_another_index_stays_until_asked_back(project: Project, indexes: Path) -> None:
    index = (indexes / "cpu").as_uri()
    done = project.launch("--torch-index", index, "--port", "1")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["argv"] == ["serve", "--port", "1"]
    assert (project.version("torch"), project.version("torchvision")) == ("3.0+cpu", "4.0+cpu")

    for args, env in [([], {}), ([f"--torch-index={index}"], {}), ([], {"LIFELIKE_TORCH_INDEX": index})]:
        again = project.launch("setup", *args, **env)
        assert again.stderr == "Lifelike is installed already.\n"
    requirements = project.root / "requirements.txt"
    requirements.write_text(requirements.read_text(encoding="utf-8") + "other\n", encoding="utf-8")
    assert project.launch("setup").returncode == 0
    assert project.version("torch") == "3.0+cpu"

    assert project.launch("setup", "--torch-index", "pypi").returncode == 0
    assert (project.version("torch"), project.version("torchvision")) == ("3.0", "4.0")


def test_interrupted_change_of_torch_goes_on_without_the_option(project: Project, indexes: Path) -> None:
    shutil.copytree(indexes / "cpu", project.root / "later")
    shutil.move(project.root / "later" / "torch", project.root / "torch-away")
    index = (project.root / "later").as_uri()
    assert project.launch("setup", "--torch-index", index).returncode == 1
    shutil.move(project.root / "torch-away", project.root / "later" / "torch")
    assert project.launch("setup").returncode == 0
    assert project.version("torch") == "3.0+cpu"


@pytest.mark.parametrize("args", [["--torch-index", "cuda"], ["--torch-index"], ["setup", "--torch-index=rocm"]])
def test_wrong_torch_index_is_refused(installed: tuple[Project, object], args: list[str]) -> None:
    done = installed[0].launch(*args)
    assert done.returncode == 2
    assert re.search(r"cpu, .*rocm7\.1", done.stderr)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("pypi", ""),
        ("cpu", "https://download.pytorch.org/whl/cpu"),
        ("cu130", "https://download.pytorch.org/whl/cu130"),
        ("rocm7.1", "https://download.pytorch.org/whl/rocm7.1"),
        ("https://mirror.example/simple", "https://mirror.example/simple"),
    ],
)
def test_torch_index_names(launch: ModuleType, name: str, url: str) -> None:
    assert launch.torch_index_url(name) == url


def test_words_after_a_double_dash_are_left_alone(launch: ModuleType) -> None:
    words = ["run", "--", "--torch-index", "cpu"]
    assert launch.take_torch_index(words) == (None, words)


def test_old_python_is_told_so(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "MIN_PYTHON", (4, 0))
    assert launch.main([]) == 1
    said = capsys.readouterr().err
    assert "Python 4.0 or newer is needed, and this is 3." in said
    assert sys.executable in said


def test_help_before_anything_is_installed_installs_nothing(tmp_path: Path, installed: tuple[Project, object]) -> None:
    for name in ("launch.py", "requirements.txt", "constraints.txt"):
        shutil.copy(installed[0].root / name, tmp_path)
    done = Project(tmp_path, installed[0].env).launch("--help")
    assert done.returncode == 0
    assert "--torch-index" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_interrupt_while_waiting_ends_quietly(project: Project) -> None:
    (project.root / ".venv" / "lifelike.json").unlink()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        constraints = project.root / "constraints.txt"
        constraints.write_text("tiny==2.0\ntorch==3.0\ntorchvision==4.0\n", encoding="utf-8")
        env = {**project.env, "PIP_INDEX_URL": f"http://127.0.0.1:{mute.getsockname()[1]}"}
        start = subprocess.Popen(
            project.command("setup"),
            env=env,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests that a shell runs in the background inherit that interrupts are ignored; a terminal's do not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        mute.settimeout(60)
        connection, _ = mute.accept()
        time.sleep(0.1)
        os.killpg(start.pid, signal.SIGINT)  # what a terminal sends: to launch.py and its pip
        _, said = start.communicate(timeout=60)
        connection.close()
    assert start.returncode == 130
    assert said.endswith("launch.py: interrupted. The next start goes on from here.\n")
