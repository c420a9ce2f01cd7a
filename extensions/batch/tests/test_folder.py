"""A batch over a folder: every file is accounted for, whatever is wrong with some, and it goes on where it stopped."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from extensions.batch.folder import made
from extensions.batch.sources import Source, result_names
from webui.api import FieldError, ParameterError
from webui.testing import Outcome

Run = Callable[..., Outcome]


def rows(outcome: Outcome) -> dict[str, dict[str, str]]:
    (table,) = (path for path in outcome.paths if path.suffix == ".csv")
    with table.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_every_file_is_accounted_for(batch: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    outcome = batch(target=str(tmp_path / "out"), params={"seed": 5, "amount": 3})
    assert outcome.state == "done", outcome.error
    told = rows(outcome)
    assert {name: row["state"] for name, row in told.items()} == {
        "A.jpg": "done",
        "b.png": "done",
        "b.webp": "done",
        "broken.png": "failed",
        "notes.txt": "passed over",
    }
    assert "picture" in told["broken.png"]["reason"]
    assert "1 of 4 pictures could not be used" in outcome.warnings[0]
    made = {record.title: image for record, image in zip(outcome.records, outcome.images, strict=False)}
    assert list(made) == ["A.jpg", "b.png", "b.webp"]
    assert made["b.png"].getpixel((5, 5)) == (255, 0, 0)
    assert made["b.png"].getpixel((0, 0)) == (5, 3, 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A.png", "b.png.png", "b.webp.png"]
    with Image.open(tmp_path / "out" / "b.webp.png") as copy:
        assert copy.getpixel((6, 6))[2] > 200


def test_a_missing_folder_of_results_is_made(batch: Run, tmp_path: Path) -> None:
    assert batch(target=str(tmp_path / "new")).state == "done"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["A.png", "b.png.png", "b.webp.png"]


def test_nothing_is_made_where_extensions_lie(batch: Run) -> None:
    refused = batch(target="extensions")
    assert refused.state == "failed"
    assert "folder that is there" in str(refused.error)
    place = refused.studio.settings.own_extensions_dir
    assert not place.exists() or not list(place.iterdir())


def test_a_folder_that_may_not_be_opened_is_left_where_it_is(tmp_path: Path) -> None:
    """Only what the job has made itself is ever removed."""
    there = tmp_path / "parent" / "theirs"
    there.mkdir(parents=True)

    class Guarded:
        def open_folder(self, path: str) -> Path:
            if Path(path) == there:
                raise ParameterError([FieldError("target", "expected a folder that requests may name")])
            return Path(path)

    with pytest.raises(ParameterError, match="may name"):
        made(str(there), Guarded())  # type: ignore[arg-type]
    assert there.is_dir()


def test_folders_within_and_other_seeds(batch: Run) -> None:
    outcome = batch(subfolders=True, vary_seed=True)
    assert [record.title for record in outcome.records if record.kind == "image"] == [
        "A.jpg",
        "b.png",
        "b.webp",
        "more/c.png",
    ]
    assert [image.getpixel((0, 0))[0] for image in outcome.images] == [5, 6, 7, 9], "the broken one keeps its place"


def test_what_is_there_is_kept_or_replaced(batch: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "A.png").write_bytes(b"mine")
    outcome = batch(target=str(out))
    assert rows(outcome)["A.jpg"]["state"] == "kept"
    assert (out / "A.png").read_bytes() == b"mine"
    assert batch(target=str(out), there_already="replace").state == "done"
    assert (out / "A.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(out.glob(".*"))


def test_a_job_that_was_stopped_goes_on(batch: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    stopped = batch(target=str(tmp_path / "out"), cancel_when=lambda outcome: len(outcome.records) == 2)
    assert stopped.state == "cancelled"
    Image.new("RGB", (4, 4)).save(photos / "AA.png")  # the places of results must not move
    outcome = batch(job=stopped.job)
    assert outcome.state == "done", outcome.error
    assert [record.title for record in outcome.records if record.kind == "image"] == ["b.webp"]
    assert {name: row["state"] for name, row in rows(outcome).items() if row["state"] != "passed over"} == {
        "A.jpg": "done",
        "b.png": "done",
        "b.webp": "done",
        "broken.png": "failed",
    }
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_link_that_leads_out_is_named(batch: Run, photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "secret.png")
    (photos / "link.png").symlink_to(tmp_path / "secret.png")
    row = rows(batch())["link.png"]
    assert (row["state"], row["reason"]) == ("passed over", "is a link that leads out of the folder")


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        ({"folder": "nowhere"}, "folder", "expected a folder that is there"),
        ({"pipeline": "batch.folder"}, "pipeline", "expected one of"),
        ({"params": {"amount": 99}}, "params", "amount: "),
        ({"params": {"amuont": 2}}, "params", "did you mean 'amount'"),
        ({"target": "nowhere/at/all"}, "target", "expected a folder that is there"),
    ],
)
def test_what_is_wrong_stands_at_its_field(batch: Run, asked: dict[str, object], field: str, words: str) -> None:
    with pytest.raises(ParameterError) as caught:
        batch(**asked)
    assert [one.name for one in caught.value.fields] == [field]
    assert words in str(caught.value)


def test_results_do_not_go_between_the_pictures(batch: Run, photos: Path) -> None:
    with pytest.raises(ParameterError, match="another folder"):
        batch(target=str(photos))


def test_an_empty_folder_says_so(batch: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = batch(folder=str(tmp_path / "empty"))
    assert outcome.error is not None
    assert "no picture" in outcome.error.message


def test_names_that_differ_in_their_endings_alone_keep_them() -> None:
    sources = [Source("a.png"), Source("A.jpg"), Source("x/a.png"), Source("b.tar.png")]
    assert result_names(sources) == {"a.png": "a.png", "A.jpg": "A.jpg", "x/a.png": "x/a", "b.tar.png": "b.tar"}
