"""docs/writing-extensions.md is true: what it writes into files is written into files, and does what it says."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from webui.app import Studio
from webui.cli import ext as command_line
from webui.core.settings import ROOT, Settings
from webui.testing import make_studio, run_pipeline
from webui.testing.samples import sample_picture
from webui.testing.supervise import check_extension, subject_at

TUTORIAL = ROOT / "docs" / "writing-extensions.md"
_FILE = re.compile(r"^`extensions/(?P<path>[\w./]+)`[^\n]*\n+```\w+\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def extensions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every file that the tutorial names. An extension without a manifest there has that of ``grey``."""
    folder = tmp_path_factory.mktemp("extensions")
    for found in _FILE.finditer(TUTORIAL.read_text(encoding="utf-8")):
        target = folder / found["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(found["code"], encoding="utf-8")
    manifest = (folder / "grey" / "extension.toml").read_text(encoding="utf-8")
    for place in folder.iterdir():
        if not (place / "extension.toml").exists():
            own = manifest.replace("grey", place.name).replace("Grey", place.name).replace('api = "1.0"', 'api = "1.3"')
            (place / "extension.toml").write_text(own, encoding="utf-8")
    return folder


@pytest.fixture
def studio(extensions: Path, tmp_path: Path) -> Studio:
    return make_studio(tmp_path / "data", extensions_dirs=[extensions], models_dirs=[])


def test_all_its_code_is_in_files_that_are_run(extensions: Path) -> None:
    written = {path.read_text(encoding="utf-8") for path in extensions.rglob("*.py")}
    assert [code for code in _BLOCK.findall(TUTORIAL.read_text(encoding="utf-8")) if code not in written] == []
    assert sorted(path.name for path in extensions.iterdir()) == ["fade", "grey", "race"]


@pytest.mark.parametrize("page", sorted(path.name for path in TUTORIAL.parent.glob("*.md")))
def test_python_in_the_docs_is_python(page: str) -> None:
    for code in _BLOCK.findall((TUTORIAL.parent / page).read_text(encoding="utf-8")):
        ast.parse(code)


def test_its_commands_are_commands() -> None:
    lines = [line.split("#")[0] for line in TUTORIAL.read_text(encoding="utf-8").splitlines()]
    asked = [shlex.split(line) for line in lines if line.startswith("python launch.py ext ")]
    parser = command_line._parser()
    told = {parser.parse_args(words[3:]).command for words in asked}
    assert told == {"new", "check", "test", "install", "update", "remove", "list"}


@pytest.mark.parametrize("name", ["fade", "grey", "race"])
def test_it_keeps_the_contract(name: str, extensions: Path, tmp_path: Path) -> None:
    report = check_extension(
        subject_at(extensions / name), Settings(data_dir=tmp_path), run_jobs=name != "race"
    )  # race runs others, of which it has none here
    assert report.ok, report.as_text()


def test_its_own_test_passes_by_the_command_that_it_names(
    extensions: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    assert command_line.main(["test", str(extensions / "grey")]) == 0
    assert "1 passed" in capfd.readouterr().out


def test_grey_by_half(studio: Studio, tmp_path: Path) -> None:
    picture = str(sample_picture(tmp_path / "sample.png"))
    whole, none = (
        run_pipeline("grey.convert", {"image": picture, "strength": strength}, tmp_path, studio=studio).images[0]
        for strength in (1.0, 0.0)
    )
    studio.library.close()
    assert all(red == green == blue for _, (red, green, blue) in whole.getcolors(4096))
    assert any(red != blue for _, (red, _, blue) in none.getcolors(4096))


def test_a_race_of_four_shows_what_each_would_be_alone(studio: Studio, tmp_path: Path) -> None:
    given = {"pipeline": "fade.noise", "params": {"count": 1, "steps": 3}}
    race = run_pipeline("race.four", given, tmp_path, studio=studio)
    alone = run_pipeline("fade.noise", {"count": 1, "steps": 3, "seed": 2}, tmp_path, studio=studio)
    studio.library.close()
    assert race.state == alone.state == "done", (race.error, alone.error)
    assert len(race.images) == 4
    assert race.images[2].tobytes() == alone.images[0].tobytes()
    assert alone.progress[-1].steps == 3
