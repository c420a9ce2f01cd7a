from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.core.errors import NotFound, ParameterError
from webui.core.jobs import Job
from webui.library.files import LibraryFiles
from webui.library.index import Index
from webui.library.library import Library
from webui.library.marks import MAX_NAMES, MarkChange, Marks, MarkStore, clean_name

LETTERS = st.characters(exclude_categories=("C", "Z"), exclude_characters='"*,')
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=8))


@given(st.dictionaries(st.integers(0, 30), st.tuples(st.integers(0, 5), NAMES, NAMES), max_size=6))
def test_what_is_marked_is_read_back(tmp_path_factory, wanted) -> None:
    root = tmp_path_factory.mktemp("marks")
    store = MarkStore(root)
    expected = {}
    for number, (rating, tags, collections) in wanted.items():
        artifact, path = f"j{number}-0", f"day{number % 3}/x{number}.png" if number % 3 else f"x{number}.png"
        change = MarkChange(rating=rating, add_tags=tuple(tags), add_collections=tuple(collections))
        after = store.change({artifact: path}, change.of)[artifact]
        assert {tag.casefold() for tag in after.tags} == {tag.casefold() for tag in tags}
        assert store.change({artifact: path}, MarkChange().of)[artifact] == after
        if after:
            expected[artifact] = after
    assert MarkStore(root).read_all() == expected


def test_names_that_differ_in_case_are_one() -> None:
    marks = MarkChange(add_tags=("Cat", "cat", "DOG")).of(Marks(tags=("dog",)))
    assert marks.tags == ("dog", "Cat")
    assert MarkChange(remove_tags=("CAT",), add_tags=("cat",)).of(marks).tags == ("dog", "cat")


@pytest.mark.parametrize("name", ["", "  ", "a,b", 'a"b', "a*", "x" * 81, "a\x00b", "a\u202eb"])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(ParameterError, match="tags"):
        clean_name(name)


def test_bounds() -> None:
    assert clean_name("  two \n words ") == "two words"
    with pytest.raises(ParameterError, match="rating"):
        MarkChange(rating=6).of(Marks())
    with pytest.raises(ParameterError, match="at most"):
        MarkChange(add_tags=tuple(f"t{number}" for number in range(MAX_NAMES + 1))).of(Marks())


def test_a_damaged_file_is_set_aside(tmp_path) -> None:
    store = MarkStore(tmp_path)
    for content in ("{", "[]", '{"marks": 5}', '{"marks": {"a-0": 7}}', '{"marks": {"a-0": {"tags": "x,"}}}'):
        (tmp_path / ".marks.json").write_text(content)
        assert store.read("x.png") == {}
        assert (tmp_path / ".marks.json.broken").read_text() == content
    store.change({"a-0": "x.png"}, MarkChange(rating=1).of)
    assert json.loads((tmp_path / ".marks.json").read_text())["marks"] == {"a-0": {"rating": 1}}


def test_marks_survive_the_loss_of_the_index(library, make) -> None:
    job = Job(pipeline="a.b")
    items = [library.add(make(number, job)) for number in range(3)]
    first, second, third = (item.id for item in items)
    library.mark([first, second], MarkChange(rating=4, add_tags=("red",), add_collections=("Best",)))
    library.mark([second], MarkChange(add_tags=("hat",), remove_collections=("best",)))
    library.trash(second)
    library.close()
    library.index.path.unlink()
    again = Library(LibraryFiles(library.files.root), Index(library.index.path))
    again.rebuild()
    assert again.get(first).marks == Marks(4, ("red",), ("Best",))
    assert again.get(second).marks == Marks(4, ("hat", "red"), ())
    assert again.get(third).marks == Marks()
    assert [(one.name, one.count, one.newest) for one in again.tags()] == [("red", 1, first)]
    again.restore(second)
    assert [one.name for one in again.tags()] == ["hat", "red"]


def test_marks_written_elsewhere_are_taken_up(library, make) -> None:
    item = library.add(make())
    library.mark([item.id], MarkChange(rating=3))
    MarkStore(library.files.root).change({item.id: item.record.path}, MarkChange(rating=0, add_tags=("new",)).of)
    report = library.rebuild()
    assert (report.added, report.kept) == (0, 1)
    assert library.get(item.id).marks == Marks(0, ("new",))


def test_collections_are_renamed_and_let_go(library, make) -> None:
    ids = [library.add(make(number, Job(pipeline="a.b"))).id for number in range(2)]
    library.mark(ids, MarkChange(add_collections=("One", "Other")))
    assert library.rename_collection("one", "Two") == 2
    assert [(one.name, one.count) for one in library.collections()] == [("Other", 2), ("Two", 2)]
    assert library.rename_collection("Two") == 2
    assert library.get(ids[0]).marks.collections == ("Other",)
    for name in ("Two", "", '"', "a*"):
        with pytest.raises(NotFound):
            library.rename_collection(name)


def test_what_is_not_there_is_not_marked(library, make) -> None:
    item = library.add(make())
    with pytest.raises(NotFound, match="none-1"):
        library.mark([item.id, "none-1"], MarkChange(rating=1))
    assert library.get(item.id).marks == Marks()


def test_what_is_purged_takes_its_marks_along(library, make) -> None:
    item = library.add(make())
    library.mark([item.id], MarkChange(rating=1))
    library.trash(item.id)
    library.purge()
    assert MarkStore(library.files.root).read_all() == {}
