"""A project of three files in a temporary folder, with launch.py's own copy and package indexes on disk: no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

LAUNCH = Path(__file__).resolve().parents[2] / "launch.py"
BASE_PYTHON = os.path.realpath(sys.executable)
CLI = """
import json, os, sys
import tiny
said = {"argv": sys.argv[1:], "cwd": os.getcwd(), "prefix": sys.prefix, "tiny": tiny.VERSION, "path": sys.path}
print(json.dumps(said))
"""


def add_wheel(index: Path, name: str, version: str) -> None:
    """A package of one module in a PEP 503 index on disk."""
    folder = index / name
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f'VERSION = "{version}"\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)
    links = [f'<a href="{file.name}">{file.name}</a>' for file in sorted(folder.glob("*.whl"))]
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>", encoding="utf-8")


@dataclass(frozen=True)
class Project:
    """One temporary copy; ``env`` is what its launch.py runs with."""

    root: Path
    env: dict[str, str]

    @property
    def site_packages(self) -> Path:
        return next((self.root / ".venv" / "lib").glob("python*/site-packages"))

    def command(self, *args: str) -> list[str]:
        return [BASE_PYTHON, str(self.root / "launch.py"), *args]

    def launch(self, *args: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args),
            cwd=cwd or self.root,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def version(self, package: str) -> str:
        """The version of an installed package, read from the module itself."""
        scope: dict[str, str] = {}
        exec((self.site_packages / f"{package}.py").read_text(encoding="utf-8"), scope)
        return scope["VERSION"]


@pytest.fixture(scope="session")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main/: what stands for PyPI; cpu/: an index with another build of torch."""
    root = tmp_path_factory.mktemp("indexes")
    for name, version in [("tiny", "1.0"), ("tiny", "2.0"), ("other", "1.0"), ("torch", "3.0"), ("torchvision", "4.0")]:
        add_wheel(root / "main", name, version)
    for name, version in [("torch", "3.0+cpu"), ("torchvision", "4.0+cpu")]:
        add_wheel(root / "cpu", name, version)
    return root


@pytest.fixture(scope="session")
def installed(
    tmp_path_factory: pytest.TempPathFactory, indexes: Path
) -> tuple[Project, subprocess.CompletedProcess[str]]:
    """A project after its first `setup`, and what that said. To look at only: tests that change it take `project`."""
    root = tmp_path_factory.mktemp("bare")
    shutil.copy(LAUNCH, root)
    (root / "requirements.txt").write_text("tiny  # a package\ntorch==3.0\ntorchvision\n", encoding="utf-8")
    (root / "constraints.txt").write_text("tiny==1.0\ntorch==3.0\ntorchvision==4.0\n", encoding="utf-8")
    (root / "webui").mkdir()
    (root / "webui" / "__init__.py").touch()
    (root / "webui" / "cli.py").write_text(CLI, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "LIFELIKE_"))}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": (indexes / "main").as_uri(), "PIP_RETRIES": "0"}
    project = Project(root, env)
    return project, project.launch("setup")


@pytest.fixture
def project(installed: tuple[Project, object], tmp_path: Path) -> Project:
    root = tmp_path / "project"
    shutil.copytree(installed[0].root, root, symlinks=True)
    return Project(root, installed[0].env)
