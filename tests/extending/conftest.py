"""An environment of its own for what is installed: the packages of this one are seen there, and stay as they are."""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from webui.core.settings import ROOT

Ext = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that pip may write to."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    (packages,) = (*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages"))
    (packages / "beneath.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    return next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())


@pytest.fixture(scope="session")
def packages(python: Path) -> Path:
    """The folder of packages of that environment."""
    (folder,) = (*python.parents[1].glob("lib/python*/site-packages"), *python.parents[1].glob("Lib/site-packages"))
    return folder


@pytest.fixture
def lifelike_command(python: Path, tmp_path: Path) -> Ext:
    """``launch.py ...`` in that environment, on the test's own data folder, without an index of packages."""

    def command(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LIFELIKE_DATA_DIR": str(tmp_path / "data"),
            "PIP_NO_INDEX": "1",
            **variables,
        }
        return subprocess.run(
            [str(python), "-P", "-m", "webui.cli", *map(str, arguments)],
            capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
            stdin=subprocess.DEVNULL, timeout=300,
        )  # fmt: skip

    return command


@pytest.fixture
def ext(lifelike_command: Ext) -> Ext:
    """``launch.py ext ...`` there."""
    return partial(lifelike_command, "ext")
