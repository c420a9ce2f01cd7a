"""Writes a whole extension that works and is tested, for its author to change: a folder, or a project for PyPI."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from webui.api import API_VERSION
from webui.core.errors import Conflict, FieldError, ParameterError

_TEMPLATE = Path(__file__).with_name("template")
_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PACKAGE_FILES = ("__init__.py", "params.py", "work.py", "extension.toml")


def new_extension(name: str, directory: Path, *, pypi: bool = False) -> Path:
    """Write the extension ``name`` into a new folder of ``directory``, which is answered; all or nothing. Raises
    ParameterError, Conflict.
    """
    if not _ID.fullmatch(name):
        said = "expected small letters, digits and underscores, a letter first, 40 at most"
        raise ParameterError([FieldError("NAME", said, repr(name[:60]))])
    distribution = f"lifelike-{name.replace('_', '-')}"
    target = directory / (distribution if pypi else name)
    if target.exists():
        raise Conflict(f"{target} is there already.", hint="Take another name, or move it away.")
    words = {
        "id": name,
        "title": name.replace("_", " ").capitalize(),
        "api": API_VERSION,
        "distribution": distribution,
        "package": f"lifelike_{name}",
        "where": str(target),
    }
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=directory) as made:
        root = Path(made) / "extension"
        package = root / words["package"] if pypi else root
        _write(package, root, words, pypi=pypi)
        os.replace(shutil.move(str(root), str(directory / f".{target.name}.tmp")), target)
    return target


def _write(package: Path, root: Path, words: dict[str, str], *, pypi: bool) -> None:
    for name in _PACKAGE_FILES:
        _put(package / name, name, words)
    _put(package / "locale" / "zh-CN.json", "zh-CN.json", words)
    _put(root / "tests" / f"test_{words['id']}.py", "test.py", words)
    _put(root / "README.md", "README.md", words)
    if pypi:
        _put(root / "pyproject.toml", "pyproject.toml", words)


def _put(target: Path, template: str, words: dict[str, str]) -> None:
    text = (_TEMPLATE / f"{template}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
