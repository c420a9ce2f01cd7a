"""The command line: exit statuses, JSON lines, messages that name the option; in this process, with real pipelines."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.server import write_extension
from tests.library.test_imports import INFOTEXT, picture
from webui.cli.__main__ import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``main`` on folders of the test's own -> exit status, standard output, standard error."""
    write_extension(tmp_path / "extensions")
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("LIFELIKE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LIFELIKE_EXTENSIONS_DIRS", str(tmp_path / "extensions"))
    monkeypatch.setenv("LIFELIKE_MODELS_DIRS", str(tmp_path / "models"))

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse ends so
            status = int(end.code or 0)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def last_line(output: str) -> dict[str, Any]:
    return dict(json.loads(output.strip().splitlines()[-1]))


def test_a_run_ends_with_its_result_as_json(run: Run, tmp_path: Path) -> None:
    status, out, err = run("run", "squares", "--count", 2, "--seed", 5, "--out", tmp_path / "made", "--json")
    assert status == 0, err
    result = last_line(out)
    assert result["state"] == "done"
    assert result["pipeline"] == "paint.squares"
    assert [artifact["seed"] for artifact in result["artifacts"]] == [5, 6]
    assert all(artifact["kind"] == "image" for artifact in result["artifacts"])
    for artifact in result["artifacts"]:
        assert Path(artifact["path"]).parent == tmp_path / "made"
        with Image.open(artifact["path"]) as image:
            assert image.size == (32, 32)
    assert all(json.loads(line) for line in out.strip().splitlines())
    assert "100%" in err


def test_same_seed_same_bytes(run: Run, tmp_path: Path) -> None:
    made = []
    for folder in ("one", "two"):
        _, out, _ = run("run", "paint.squares", "--seed", 9, "--out", tmp_path / folder, "--json")
        made.append(Path(last_line(out)["artifacts"][0]["path"]).read_bytes())
    assert made[0] == made[1]


def test_a_job_that_failed_is_resumed_from_what_it_left(run: Run) -> None:
    status, out, err = run("run", "squares", "--count", 3, "--seed", 5, "--mood", "raises", "--json")
    assert status == 1, err
    job = last_line(out)["job"]
    assert [one["seed"] for one in last_line(out)["artifacts"]] == [5]
    status, out, err = run("run", "squares", "--resume", job, "--json")
    assert status == 0, err
    assert [(one["id"], one["seed"]) for one in last_line(out)["artifacts"]] == [(f"{job}-1", 6), (f"{job}-2", 7)]
    status, _, err = run("run", "squares", "--resume", job)
    assert status == 2, "it is done"
    assert "left something" in err


def test_without_json_it_prints_the_paths(run: Run) -> None:
    status, out, _ = run("run", "squares", "--seed", 1)
    assert status == 0
    assert Path(out.strip()).is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps", "0"], "--steps"),
        (["--mood", "angry"], "--mood"),
        (["--pause-s", "nan"], "--pause-s"),
        (["--no-such-option", "1"], "--no-such-option"),
        (["--seed"], "--seed"),
    ],
)
def test_a_wrong_option_is_named_with_status_2(run: Run, arguments: list[str], says: str) -> None:
    status, _, err = run("run", "squares", *arguments)
    assert status == 2
    assert says in err


def test_an_unknown_pipeline_lists_those_there_are(run: Run) -> None:
    status, _, err = run("run", "nothing")
    assert status == 2
    assert "paint.squares" in err


def test_a_failed_run_has_status_1_and_keeps_what_was_made(run: Run) -> None:
    status, out, err = run("run", "squares", "--count", 3, "--mood", "raises", "--json")
    assert status == 1
    result = last_line(out)
    assert result["state"] == "failed"
    assert len(result["artifacts"]) == 1
    assert "the paint ran out" in err


def test_help_lists_pipelines_and_parameters(run: Run) -> None:
    status, out, _ = run("run", "--help")
    assert status == 0
    assert "paint.squares" in out
    status, out, _ = run("run", "squares", "--help")
    assert status == 0
    assert "--pause-s" in out
    assert "calm, raises" in out


def test_a_picture_is_reproduced_and_a_changed_one_is_not(run: Run, tmp_path: Path) -> None:
    _, out, _ = run("run", "squares", "--count", 3, "--seed", 20, "--json")
    third = Path(last_line(out)["artifacts"][2]["path"])
    status, out, err = run("reproduce", third, "--json")
    assert status == 0, err
    comparison = last_line(out)
    assert comparison["identical"] is True
    assert comparison["changed"] == []

    with Image.open(third) as image:
        changed, info = image.copy(), image.info
    changed.putpixel((5, 5), (1, 2, 3))
    from PIL.PngImagePlugin import PngInfo

    chunks = PngInfo()
    chunks.add_itxt("lifelike", info["lifelike"].replace('"Pillow":"', '"Pillow":"0.'))
    changed.save(tmp_path / "changed.png", pnginfo=chunks)
    status, out, _ = run("reproduce", tmp_path / "changed.png", "--json")
    assert status == 1
    comparison = last_line(out)
    assert comparison["identical"] is False
    assert comparison["differing_share"] == pytest.approx(1 / 1024)
    status, out, _ = run("reproduce", tmp_path / "changed.png")
    assert "different" in out


def test_a_picture_without_a_recipe_is_told_so(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    status, _, err = run("reproduce", tmp_path / "plain.png")
    assert status == 1
    assert "no recipe" in err
    status, _, err = run("reproduce", tmp_path / "absent.png")
    assert status == 1
    assert "no file" in err


def test_extensions_are_listed_and_checked(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "extensions" / "broken"
    bad.mkdir()
    (bad / "extension.toml").write_text('id = "broken"\nversion = "1"\napi = "9.0"\n')
    status, out, _ = run("ext", "list", "--json")
    assert status == 0
    assert {record["id"]: record["state"] for record in json.loads(out)} == {"paint": "loaded", "broken": "blocked"}
    status, out, _ = run("ext", "check", "paint")
    assert status == 0, out
    status, out, _ = run("ext", "check", "broken")
    assert status == 1
    assert "another major" in out
    assert run("ext", "check", "nobody")[0] == 1


def test_the_index_is_rebuilt_from_the_files(run: Run, tmp_path: Path) -> None:
    run("run", "squares", "--count", 2, "--seed", 1)
    (tmp_path / "data" / "library.sqlite3").unlink()
    status, out, _ = run("library", "rebuild")
    assert status == 0
    assert out.startswith("2 indexed")


def test_the_doctor_says_what_is_wrong(run: Run) -> None:
    status, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert status == 1  # the folder of models is empty
    assert any("text-to-image model" in problem for problem in report["problems"])
    assert report["packages"]["torch"]
    assert {backend["name"] for backend in report["attention"]} >= {"native", "xformers"}
    assert all(backend["usable"] or backend["reason"] for backend in report["attention"])
    assert report["device"]["kind"]
    assert "No problem" not in run("doctor")[1]


def test_an_unknown_command_shows_those_there_are(run: Run) -> None:
    status, _, err = run("frobnicate")
    assert status == 2
    assert "reproduce" in err
    status, out, _ = run("--help")
    assert status == 0
    assert "doctor" in out


def test_a_disabled_extension_is_not_there(run: Run) -> None:
    status, _, err = run("run", "squares", "--disable-ext", "paint")
    assert status == 2
    assert "no such pipeline" in err


def test_an_extension_is_left_out_and_loaded_again(run: Run, tmp_path: Path) -> None:
    def state() -> str:
        records = json.loads(run("ext", "list", "--json")[1])
        return next(record["state"] for record in records if record["id"] == "paint")

    assert run("ext", "disable", "paint")[:2] == (0, "paint is left out at the next start.\n")
    assert state() == "disabled"
    (tmp_path / "data" / "starting.json").write_text('["paint"]')
    assert json.loads(run("ext", "enable", "paint", "--json")[1]) == {"extension": "paint", "enabled": True}
    assert state() == "loaded", "and the mark of a start that it ended is forgiven"
    code, _, said = run("ext", "disable", "piant")
    assert code == 1
    assert "there is no extension 'piant'" in said


def test_pictures_of_others_are_imported_found_and_exported(run: Run, tmp_path: Path) -> None:
    for number in range(2):
        picture(tmp_path / "peer" / f"{number}.png", ("red", "blue")[number], parameters=INFOTEXT)
    status, out, _ = run("library", "import", tmp_path / "peer", "--tag", "old", "--collection", "Before")
    assert (status, out) == (0, "2 added, 0 known already, 0 others left alone.\n")
    status, out, _ = run("library", "import", tmp_path / "peer")
    assert (status, out) == (0, "0 added, 2 known already, 0 others left alone.\n")
    status, out, _ = run("library", "export", tmp_path / "out.zip", "--query", 'tag:old collection:"Before" seed:77')
    assert (status, out.partition(" ")[0]) == (0, "2")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert len(archive.namelist()) == 3
        assert archive.testzip() is None
    status, _, err = run("library", "import", tmp_path / "nowhere")
    assert status == 1
    assert "there is no folder" in err
