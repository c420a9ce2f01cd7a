from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from webui.core.errors import Conflict, NotFound
from webui.core.jobs import Job
from webui.core.specs import Artifact
from webui.library.files import LibraryFiles
from webui.library.index import Index
from webui.library.library import Library


def ids(library: Library, **options) -> list[str]:
    return [item.id for item in library.page(**options).items]


def reopened(library: Library) -> Library:
    """The same files with an index begun anew."""
    library.close()
    library.index.path.unlink()
    return Library(LibraryFiles(library.files.root), Index(library.index.path))


def test_an_artifact_is_added_with_the_recipe_of_its_file(library, make) -> None:
    record = make(0, prompt="红发", seed=7)
    item = library.add(record)
    assert (item.record, item.prompt) == (record, "红发")
    assert library.add(record).n == item.n
    assert library.count() == 1
    recipe = library.recipe(record.id)
    assert recipe is not None
    assert recipe.seed == 7
    assert library.path(record.id) == library.files.path_of(record)
    assert library.get(record.id) == item


def test_what_has_no_file_is_not_added(library, make) -> None:
    record = make()
    library.files.path_of(record).unlink()
    with pytest.raises(NotFound):
        library.add(record)
    for wrong in ("", "../x-1", "a", "x" * 500, record.id):
        with pytest.raises(NotFound):
            library.get(wrong)


def test_trash_restore_and_purge(library, make) -> None:
    job = Job(pipeline="a.b")
    first, second = library.add(make(0, job)), library.add(make(1, job))
    trashed = library.trash(first.id)
    assert trashed.trashed
    assert library.trash(first.id) == trashed
    assert (ids(library), ids(library, trashed=True)) == ([second.id], [first.id])
    assert ".trash" in library.path(first.id).parts
    assert not library.restore(first.id).trashed
    assert library.path(first.id).is_file()
    library.set_favourite(first.id, True)
    library.trash(first.id)
    with pytest.raises(Conflict):
        library.purge([first.id, second.id])
    path = library.path(first.id)
    assert library.purge() == 1
    assert not path.exists()
    assert (library.count(), library.purge()) == (1, 0)
    assert json.loads((library.files.root / "favourites.json").read_text())["favourites"] == []


def test_a_rebuild_from_nothing_finds_what_was_there(library, make) -> None:
    job = Job(pipeline="a.b")
    made = [library.add(make(number, job, prompt=f"cat {number}")) for number in range(3)]
    table = library.add(make(3, job, "table", [{"a": 1}]))
    library.set_favourite(made[0].id, True)
    library.trash(made[1].id)
    (library.files.root / "notes.txt").write_text("mine")
    (library.files.root / "foreign.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    again = reopened(library)
    assert again.needs_rebuild
    report = again.rebuild()
    assert (report.added, report.kept, report.removed, report.skipped) == (4, 0, 0, 3)
    assert not again.needs_rebuild
    assert set(ids(again)) == {made[0].id, made[2].id, table.id}
    assert ids(again, trashed=True) == [made[1].id]
    assert ids(again, favourites=True) == [made[0].id]
    assert ids(again, query="cat 2") == [made[2].id]
    assert again.get(table.id).record.kind == "table"
    for item in made:
        stored = again.get(item.id).record
        assert stored.model_copy(update={"created_at": 0.0}) == item.record.model_copy(update={"created_at": 0.0})
        assert abs(stored.created_at - item.record.created_at) < 5
    assert again.rebuild().kept == 4
    assert again.rebuild(full=True).added == 4
    again.close()


def test_a_rebuild_follows_what_its_owner_did_to_the_files(library, make) -> None:
    job = Job(pipeline="a.b")
    gone, moved, renamed, cut, stays = (library.add(make(number, job, prompt=f"p{number}")) for number in range(5))
    library.path(gone.id).unlink()
    (library.files.root / "keepers").mkdir()
    library.path(moved.id).rename(library.files.root / "keepers" / library.path(moved.id).name)
    library.path(renamed.id).rename(library.files.root / "best.png")
    library.path(cut.id).write_bytes(library.path(cut.id).read_bytes()[:60])
    told: list[int] = []
    report = library.rebuild(progress=told.append)
    assert (report.added, report.kept, report.removed, report.skipped) == (2, 1, 3, 1)
    assert told == [4]
    assert library.get(moved.id).record.path.startswith("keepers/")
    assert {item.record.path for item in library.page().items} == {
        library.get(moved.id).record.path,
        "best.png",
        stays.record.path,
    }
    assert ids(library, query="p2") == [renamed.record.sha256[:16] + "-0"]
    assert library.rebuild().kept == 3


def test_a_copy_that_did_not_keep_times_keeps_its_order(library, make) -> None:
    old = library.add(make(0, Job(pipeline="a.b", created_at=1_700_000_000.0)))
    assert old.record.created_at > 1_750_000_000
    again = reopened(library)
    again.rebuild()
    assert again.get(old.id).record.created_at == 1_700_000_000.0
    again.close()


def test_favourites_outlive_the_index_and_a_damaged_list_is_set_aside(library, make) -> None:
    item = library.add(make())
    assert library.set_favourite(item.id, True).favourite
    list_of = library.files.root / "favourites.json"
    assert json.loads(list_of.read_text())["favourites"] == [item.id]
    list_of.write_text("{damaged")
    library.rebuild()
    assert (library.files.root / "favourites.broken.json").read_text() == "{damaged"
    assert library.get(item.id).favourite
    assert json.loads(list_of.read_text())["favourites"] == [item.id]
    assert not library.set_favourite(item.id, False).favourite
    library.rebuild(full=True)
    assert not library.get(item.id).favourite


def test_a_file_that_vanished_is_told(library, make) -> None:
    item = library.add(make())
    library.path(item.id).unlink()
    for call in (library.path, library.trash):
        with pytest.raises(NotFound, match="gone"):
            call(item.id)


def test_threads_may_add_and_page_at_once(library, make) -> None:
    job = Job(pipeline="a.b")
    records = [make(number, job) for number in range(24)]
    errors: list[Exception] = []

    def work(part) -> None:
        try:
            for record in part:
                library.add(record)
                library.page("cat", limit=5)
                library.set_favourite(record.id, True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(records[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert library.count(favourites=True) == 24


def test_opening_sweeps_and_an_empty_library_needs_no_rebuild(tmp_path: Path) -> None:
    files = LibraryFiles(tmp_path / "images")
    (files.root / ".tmp").mkdir(parents=True)
    half = files.root / ".tmp" / "1-half"
    half.write_bytes(b"x")
    os.utime(half, (1, 1))
    library = Library(files, Index(tmp_path / "i.sqlite3"))
    assert not half.exists()
    assert not library.needs_rebuild
    assert library.rebuild().added == 0
    library.close()


def test_formats_live_side_by_side(library, make, recipe_of) -> None:
    for image_format in ("png", "jpeg", "webp"):
        files = LibraryFiles(library.files.root, image_format, 80)
        artifact = Artifact("image", Image.new("RGB", (8, 8)), seed=1)
        library.add(files.save(artifact, Job(pipeline="a.b"), recipe_of(prompt=image_format)))
    again = reopened(library)
    again.rebuild()
    assert {item.prompt for item in again.page().items} == {"png", "jpeg", "webp"}
    assert {item.record.media_type for item in again.page().items} == {"image/png", "image/jpeg", "image/webp"}
    again.close()
