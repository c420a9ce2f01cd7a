"""Installing, updating with a way back, removing: real pip, real wheels, an environment of the tests' own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.extending.conftest import Ext
from tests.extending.wheels import make_wheel
from webui.cli.extending.scaffold import new_extension
from webui.cli.extending.sources import fetch
from webui.cli.extending.store import Store
from webui.core.errors import Conflict, NotFound, ParameterError, SetupError
from webui.core.settings import Settings
from webui.plugins.manifest import read_manifest

BROKEN = "raise RuntimeError('this release is broken')\n"


def version_of(packages: Path, name: str) -> str:
    """Of a package in the environment; empty where there is none."""
    found = [path.name.split("-")[1] for path in packages.glob(f"ext_{name}-*.dist-info")]
    assert len(found) <= 1
    return found[0].removesuffix(".dist") if found else ""


def version_in(folder: Path) -> str:
    """Of an extension's folder; empty where there is none."""
    return read_manifest(folder).version if folder.exists() else ""


def test_a_package_comes_updates_goes_back_and_goes(ext: Ext, packages: Path, tmp_path: Path) -> None:
    index = tmp_path / "index"
    make_wheel(index, "mint", "1.0")
    offered = {"PIP_FIND_LINKS": str(index)}
    told = ext("install", "ext-mint", "--yes", "--json", **offered)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["done"] == "installed"
    assert "ext-mint 1.0  sha256:" in told.stderr
    assert version_of(packages, "mint") == "1.0"
    listed = json.loads(ext("list", "--json").stdout)
    assert [one["state"] for one in listed if one["id"] == "mint"] == ["loaded"]

    make_wheel(index, "mint", "1.1", init=BROKEN)
    broken = ext("update", "mint", "--yes", **offered)
    assert broken.returncode == 1
    assert "this release is broken" in broken.stderr
    assert "1.0 is back in its place" in broken.stderr
    assert version_of(packages, "mint") == "1.0"

    make_wheel(index, "mint", "1.2")
    told = ext("update", "mint", "--yes", **offered)
    assert told.returncode == 0, told.stderr
    assert version_of(packages, "mint") == "1.2"
    assert ext("update", "mint", "--back", "--yes").returncode == 0
    assert version_of(packages, "mint") == "1.0"
    assert "1.0" in (packages / "ext_mint" / "__init__.py").read_text()
    assert ext("remove", "mint", "--yes").returncode == 0
    assert version_of(packages, "mint") == ""


def test_what_would_move_a_pinned_package_is_refused_by_name(ext: Ext, packages: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "greedy", requires=("pluggy<1",))
    told = ext("install", wheel, "--yes")
    assert told.returncode == 1
    assert "ext-greedy 1.0 depends on pluggy<1" in told.stderr
    assert "constraints.txt pins pluggy==" in told.stderr
    assert "Nothing was installed" in told.stderr
    assert version_of(packages, "greedy") == ""


def test_nobody_said_yes(ext: Ext, packages: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "unwanted")
    told = ext("install", wheel)
    assert told.returncode == 1
    assert "Its code will run with your rights" in told.stderr
    assert "--yes" in told.stderr
    assert version_of(packages, "unwanted") == ""


def test_a_first_install_that_does_not_load_is_taken_away(ext: Ext, packages: Path, tmp_path: Path) -> None:
    told = ext("install", make_wheel(tmp_path, "sick", init=BROKEN), "--yes")
    assert told.returncode == 1
    assert "It was taken away again" in told.stderr
    assert version_of(packages, "sick") == ""


def test_a_folder_comes_updates_goes_back_and_goes(ext: Ext, tmp_path: Path) -> None:
    folder, place = new_extension("leaf", tmp_path / "work"), tmp_path / "data" / "extensions" / "leaf"
    told = ext("install", folder, "--yes")
    assert told.returncode == 0, told.stderr
    assert (place / "work.py").exists()
    assert "already" in ext("install", folder, "--yes").stderr
    manifest = folder / "extension.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    (folder / "__init__.py").write_text(BROKEN)
    assert "0.1.0 is back" in ext("update", "leaf", "--yes").stderr
    assert version_in(place) == "0.1.0"
    assert "broken" not in (place / "__init__.py").read_text()
    assert ext("remove", "leaf", "--yes").returncode == 0
    assert version_in(place) == ""


def test_what_a_folder_requires_goes_back_with_it(ext: Ext, packages: Path, tmp_path: Path) -> None:
    index, offered = tmp_path / "index", {"PIP_FIND_LINKS": str(tmp_path / "index")}
    make_wheel(index, "sap", "1.0", group="tests.libraries")
    make_wheel(index, "resin", "1.0", group="tests.libraries")
    folder = new_extension("bark", tmp_path / "work")
    manifest, declaration = folder / "extension.toml", folder / "__init__.py"
    words, code = manifest.read_text(), declaration.read_text()
    assert "requires = []" in words

    def release(version: str, requires: str, init: str = code) -> None:
        manifest.write_text(words.replace("0.1.0", version).replace("requires = []", f"requires = [{requires}]"))
        declaration.write_text(init)

    release("0.1.0", '"ext-sap"')
    assert ext("install", folder, "--yes", **offered).returncode == 0
    make_wheel(index, "sap", "2.0", group="tests.libraries")
    release("0.2.0", '"ext-sap>=2", "ext-resin"', BROKEN)
    assert "0.1.0 is back" in ext("update", "bark", "--yes", **offered).stderr
    assert (version_of(packages, "sap"), version_of(packages, "resin")) == ("1.0", "")

    release("0.3.0", '"ext-sap>=2", "ext-resin"')
    assert ext("update", "bark", "--yes", **offered).returncode == 0
    assert (version_of(packages, "sap"), version_of(packages, "resin")) == ("2.0", "1.0")
    told = json.loads(ext("update", "bark", "--back", "--yes", "--json").stdout)
    assert (told["version"], told["left"]) == ("0.1.0", ["ext-resin"]), "what came new stays, and is named"
    assert version_of(packages, "sap") == "1.0"
    assert "1.0" in (packages / "ext_sap" / "__init__.py").read_text()
    assert version_in(tmp_path / "data" / "extensions" / "bark") == "0.1.0"
    assert "no version before" in ext("update", "bark", "--back", "--yes").stderr
    told = json.loads(ext("remove", "bark", "--yes", "--json").stdout)
    assert sorted(told["left"]) == ["ext-resin", "ext-sap"]


def test_two_installations_do_not_run_at_once(
    ext: Ext, packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(packages.parents[2]))
    store = Store(Settings(data_dir=tmp_path / "data"))
    with store.alone():
        told = ext("install", make_wheel(tmp_path, "eager"), "--yes")
    assert told.returncode == 1
    assert "another `ext` installs" in told.stderr
    assert version_of(packages, "eager") == ""
    with pytest.raises(RuntimeError, match="fell over"), store.alone():
        raise RuntimeError("fell over")
    with store.alone(), pytest.raises(Conflict), store.alone():
        raise AssertionError("two hold it")


def test_from_git_by_branch(ext: Ext, tmp_path: Path) -> None:
    folder = new_extension("twig", tmp_path / "work")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["branch", "kept"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    told = ext("install", f"git+file://{folder}@kept", "--yes", "--json")
    assert told.returncode == 0, told.stderr
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert commit in told.stderr
    assert version_in(tmp_path / "data" / "extensions" / "twig") == "0.1.0"


def test_a_project_is_built_here_and_checked(ext: Ext, packages: Path, tmp_path: Path) -> None:
    project = new_extension("rose", tmp_path, pypi=True)
    told = ext("install", project, "--yes")
    assert told.returncode == 0, told.stderr
    assert "Building" in told.stderr
    assert version_in(packages / "lifelike_rose") == "0.1.0"
    assert not list(project.glob("*.egg-info"))


def test_what_cannot_be_read_is_refused_before_anything_runs(tmp_path: Path) -> None:
    def ask(question: str) -> None:
        raise AssertionError(question)

    with pytest.raises(ParameterError, match="expected a package of PyPI"):
        fetch("https://example.org/x.tar.gz", tmp_path, ask)
    with pytest.raises(ParameterError, match="expected a package"):
        fetch("name @ https://example.org/x.whl", tmp_path, ask)
    with pytest.raises(SetupError, match="offers only 1"):
        fetch(str(make_wheel(tmp_path, "later", api="1.99")), tmp_path / "a", ask)
    plain = make_wheel(tmp_path, "plain", group="console_scripts")
    with pytest.raises(SetupError, match="is no extension"):
        fetch(str(plain), tmp_path / "a", ask)
    linked = new_extension("linked", tmp_path / "work")
    (linked / "secret").symlink_to("/etc/passwd")
    with pytest.raises(SetupError, match="holds links"):
        fetch(str(linked), tmp_path / "a", ask)
    with pytest.raises(NotFound, match=r"expected extension.toml"):
        fetch(str(tmp_path / "work"), tmp_path / "a", ask)


def test_what_was_not_installed_is_not_removed(ext: Ext, tmp_path: Path) -> None:
    assert "comes with Lifelike" in ext("remove", "batch", "--yes").stderr
    new_extension("mine", tmp_path / "data" / "extensions")
    assert "it is yours" in ext("remove", "mine", "--yes").stderr
    assert (tmp_path / "data" / "extensions" / "mine").exists()
