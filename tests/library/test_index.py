from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webui.core.errors import NotFound, SetupError
from webui.core.jobs import ArtifactRecord
from webui.core.revisions import revision_of
from webui.library import schema
from webui.library.index import Index
from webui.library.marks import Marks
from webui.library.query import Term, compile_query, terms
from webui.library.rows import Entry


@pytest.fixture
def put(index, recipe_of):
    """Index an artifact without a file: ``put("a-0", prompt=..., ...)``."""

    def one(
        artifact_id, created_at=1_000.0, favourite=None, trashed=False, title="", pipeline="diffusion.txt2img", **params
    ):
        job_id, _, number = artifact_id.rpartition("-")
        recipe = recipe_of(pipeline=pipeline, **params)
        record = ArtifactRecord(
            id=artifact_id,
            job_id=job_id,
            index=int(number),
            kind="image",
            path=f"x/{artifact_id}.png",
            media_type="image/png",
            size_bytes=9,
            sha256="0" * 64,
            pipeline=pipeline,
            title=title,
            seed=recipe.seed,
            width=params.get("width", 128),
            height=params.get("height", 96),
            created_at=created_at,
            warnings=("w",),
        )
        return index.put(Entry(record, recipe, favourite, trashed))

    return one


def found(index, query: str = "", **options) -> list[str]:
    page = index.page(query, **options)
    asked = {key: value for key, value in options.items() if key in ("filters", "favourites", "trashed")}
    assert index.count(query, **asked) >= len(page.items)
    return [item.id for item in page.items]


def test_what_is_put_is_got_and_replaces_itself(index, put) -> None:
    first = put("a-0", prompt="one", seed=2**62)
    assert (first.record.seed, first.record.warnings, first.prompt, first.favourite) == (2**62, ("w",), "one", False)
    index.set_favourite("a-0", True)
    again = put("a-0", created_at=2_000.0, prompt="two")
    assert (again.prompt, again.favourite, again.record.created_at) == ("two", True, 2_000.0)
    assert (index.count(), found(index, "one"), found(index, "two")) == (1, [], ["a-0"])
    recipe = index.recipe("a-0")
    assert recipe is not None
    assert recipe.params["prompt"] == "two"
    index.remove(["a-0", "none-1"])
    assert index.count() == 0
    for call in (index.get, index.recipe, lambda one: index.set_trashed(one, True), index.neighbours):
        with pytest.raises(NotFound):
            call("a-0")


def test_pages_run_from_new_to_old_and_miss_nothing_that_was_there(index, put) -> None:
    for number in range(25):
        put(f"a-{number}", created_at=1_000.0 + number // 5)  # several at one time
    page = index.page(limit=10)
    seen = [item.id for item in page.items]
    put("b-0", created_at=5_000.0)  # arrives while someone pages
    while page.next:
        page = index.page(limit=10, cursor=page.next)
        seen += [item.id for item in page.items]
    assert seen == [f"a-{number}" for number in sorted(range(25), key=lambda one: (-(one // 5), -(one % 5)))]
    assert found(index, limit=3, offset=1) == ["a-24", "a-23", "a-22"]
    for cursor in ("x", "-1", "9" * 30, "٣", "1;drop"):
        assert found(index, limit=1, cursor=cursor) == ["b-0"]
    assert len(index.page(limit=0).items) == 1


def test_neighbours_follow_the_search(index, put) -> None:
    for number in range(6):
        put(f"a-{number}", created_at=float(number), prompt="even" if number % 2 == 0 else "odd")
    assert index.neighbours("a-2") == ("a-3", "a-1")
    assert index.neighbours("a-2", "even") == ("a-4", "a-0")
    assert index.neighbours("a-5") == ("", "a-4")
    assert index.neighbours("a-0", "even") == ("a-2", "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "3210"),
        ("red", "10"),
        ("RED HAIR", "0"),
        ("hair red", "0"),
        ('"red hair"', "0"),
        ('"hair red"', ""),
        ("ed ha", "10"),
        ("-red", "32"),
        ("r", "210"),
        ("hat -red", "2"),
        ("红发", "3"),
        ("红", "3"),
        ("一个红发女孩", "3"),
        ("红帽", ""),
        ("-红发", "210"),
        ("ｒｅｄ", "10"),
        ("100%", "2"),
        ("seed:5", "10"),
        ("seed:9007199254740993", "2"),
        ("seed:>5", "32"),
        ("steps:>=30", "32"),
        ("steps:10..20", "10"),
        ("-seed:5", "32"),
        ("steps:<25 red", "10"),
        ('sampler:"Euler a"', "0"),
        ("sampler:euler", "1"),
        ("sampler:DPM*", "32"),
        ("model:star", "310"),
        ("width:256", "3"),
        ("size:256x96", "3"),
        ("size:bad", ""),
        ("pipeline:gan.sample", "3"),
        ("pipeline:txt2img", "210"),
        ("kind:image", "3210"),
        ("kind:video", ""),
        ("favourite:yes", "1"),
        ("favorite:no", "320"),
        ("favourite:maybe", ""),
        ("job:a", "3210"),
        ("guidance_scale:7.5", "2"),
        ("guidance_scale:>7", "2"),
        ("tiling:true", "3"),
        ("hires_steps:>3", "2"),
        ("strength:0.5..0.7", "1"),
        ("negative_prompt:*blur*", "0"),
        ("style:oil", "2"),
        ("16:9", "2"),
        ("none:such", ""),
        ('unclosed:"x', ""),
        ('"', "3210"),
        ("-", "0"),
        ("- ", "0"),
        (":", "2"),
        ("title", "3"),
        ("date:1970", "3210"),
        ("date:1970-01-02", "3"),
        ("date:>1970-01-01", "3"),
        ("date:<1970-01-01", ""),
        ("date:1970-01-01..1970-01-02", "3210"),
        ("date:bad", ""),
        ("model:%", ""),
        ("_", ""),
        ("OR", ""),
        ("red AND hair", ""),
        ("red*", ""),
        ("(red", ""),
        ("\x00", ""),
    ],
)
def test_searches(index, put, query: str, expected: str) -> None:
    noon = 12 * 3600.0
    put("a-0", noon, prompt="a girl with RED hair-do", steps=20, seed=5, negative_prompt="blurry")
    put("a-1", noon + 1, prompt="a red hat, 2 dogs", steps=20, seed=5, sampler="Euler", strength=0.6, favourite=True)
    put(
        "a-2",
        noon + 2,
        prompt="hat, 16:9, style:oil 100% rain",
        steps=30,
        seed=2**53 + 1,
        sampler="DPM++ 2M",
        model="sdxl/base",
        hires_steps=4,
        guidance_scale=7.5,
    )
    put(
        "a-3",
        noon + 86_400,
        prompt="一个红发女孩",
        steps=30,
        seed=7,
        sampler="DPM++ SDE",
        width=256,
        pipeline="gan.sample",
        tiling=True,
        title="Title",
    )
    put("a-4", prompt="red but deleted", trashed=True)
    assert "".join(one[-1] for one in found(index, query)) == expected


@pytest.mark.parametrize("word", ["q", "qz", "z", "发", "红发", "r", "e.", "."])
def test_short_words_are_found_wherever_they_stand(index, put, word: str) -> None:
    texts = ["qz first", "in a qz middle", "at the end qz", "红发", "一个红发的人", "the r", "title.", "q", "", "e"]
    for number, one in enumerate(texts):
        put(f"a-{number}", prompt=one if number % 2 else "", title="" if number % 2 else one)
    assert found(index, word) == [f"a-{n}" for n in range(9, -1, -1) if word in texts[n]]


def test_marks_are_found_counted_and_kept(index, put) -> None:
    for number in range(4):
        put(f"a-{number}", created_at=float(number), trashed=number == 3)
    index.set_marks(
        {
            "a-0": Marks(5, ("Portrait", "红发"), ("Best of",)),
            "a-1": Marks(2, ("portrait of a cat",)),
            "a-2": Marks(0, ("Portrait",), ("Best of", "2026")),
            "a-3": Marks(1, ("Portrait",)),
            "none-0": Marks(1),
        }
    )
    assert found(index, "tag:portrait") == ["a-2", "a-0"]
    assert found(index, "tag:portrait*") == ["a-2", "a-1", "a-0"]
    assert found(index, "-tag:portrait") == ["a-1"]
    assert found(index, "tag:红发 rating:>=4") == ["a-0"]
    assert found(index, 'collection:"best of"') == ["a-2", "a-0"]
    assert found(index, "rating:1..4") == ["a-1"]
    assert index.names("tag") == [("Portrait", 2, "a-2"), ("portrait of a cat", 1, "a-1"), ("红发", 1, "a-0")]
    assert index.names("collection") == [("2026", 1, "a-2"), ("Best of", 2, "a-2")]
    assert index.marked_ids() == {"a-0", "a-1", "a-2", "a-3"}
    again = put("a-0", created_at=9.0)
    assert again.marks == Marks(5, ("Portrait", "红发"), ("Best of",))
    index.set_marks({"a-0": Marks()})
    assert index.get("a-0").marks == Marks()
    index.remove(["a-2"])
    assert index.names("collection") == []


def test_a_parameter_named_as_a_mark_is_none(index, put) -> None:
    put("a-0", tag="x", collection="y", other="z")
    assert found(index, "tag:x") == []
    assert found(index, "other:z") == ["a-0"]
    assert index.names("tag") == []


def test_search_without_a_text_index_finds_the_same(tmp_path: Path, index, put) -> None:
    put("a-0", prompt="a girl with RED hair")
    put("a-1", prompt="一个红发女孩")
    with index._engine.connect() as connection:
        connection.exec_driver_sql("DROP TABLE search")
        connection.exec_driver_sql("CREATE TABLE search (text TEXT NOT NULL)")
    index.close()
    plain = Index(index.path)
    assert not plain._trigrams
    with plain._engine.connect() as connection:
        for n, text in connection.exec_driver_sql("SELECT n, prompt FROM details").all():
            connection.exec_driver_sql("INSERT INTO search (rowid, text) VALUES (?, ?)", (n, text.casefold()))
    assert found(plain, "red hair") == ["a-0"]
    assert found(plain, "红发") == ["a-1"]
    plain.close()


def test_filters_and_the_trash(index, put) -> None:
    put("a-0", pipeline="gan.sample", favourite=True)
    put("a-1")
    put("a-2", trashed=True)
    assert found(index, filters={"pipeline": "gan.sample", "model": "", "seed": None}) == ["a-0"]
    assert found(index, favourites=True) == ["a-0"]
    assert found(index, trashed=True) == ["a-2"]
    assert index.favourite_ids() == {"a-0"}


PARTS = ['"', "-", ":", "seed:", "a", "..", ">", "date:", "9" * 30, "*", "%", " ", "size:1x", "x_y:"]


@given(st.text(max_size=60) | st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_query_has_a_meaning(index, query: str) -> None:
    assert index.page(query).items == ()
    assert index.count(query, {query: query}) == 0


def test_terms_of_a_query() -> None:
    assert terms('red -hat -"a b" Sampler:"Euler a" -model:x foo"bar') == [
        Term("", "red"),
        Term("", "hat", True),
        Term("", "a b", True),
        Term("sampler", "Euler a"),
        Term("model", "x", True),
        Term("", "foo"),
        Term("", "bar"),
    ]
    assert len(terms("a " * 1000)) == 32


def test_what_a_person_types_never_becomes_sql() -> None:
    conditions = compile_query("seed:5 x'y:z \"'; DROP TABLE artifacts; --\" model:'; k:\"'\"")
    assert "DROP" not in " ".join(conditions.where)
    assert "'" not in " ".join(conditions.where).replace("ESCAPE '\\'", "")


def test_the_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS).replace("%", "%%"))
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def columns_of(engine: sa.Engine, table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(engine).get_columns(table)}


def test_a_new_database_has_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    index = Index(tmp_path / "new" / "library.sqlite3")
    assert index.fresh
    for table in (schema.ARTIFACTS, schema.DETAILS):
        assert columns_of(index._engine, table.name) == {column.name for column in table.columns}
    with index._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert index._trigrams == schema.has_trigrams(connection)
    index.close()


def test_an_upgrade_from_the_first_revision_keeps_and_finds_everything(tmp_path: Path, recipe_of) -> None:
    recipe = recipe_of(guidance_scale=7.5, strength="much")
    path = tmp_path / "100% old" / "library.sqlite3"
    path.parent.mkdir()
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        schema.migrate(connection, "0001")
        assert revision_of(connection) == "0001"
        connection.exec_driver_sql(
            "INSERT INTO artifacts (n, id, job_id, position, kind, path, media_type, size_bytes, sha256, pipeline,"
            " title, created_at) VALUES (7, 'a-0', 'a', 0, 'image', 'x.png', 'image/png', 1, '', 'p.q', 'Old', 1.0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO details (n, prompt, recipe) VALUES (7, 'A RED Cat', ?)", (recipe.to_json(),)
        )
    engine.dispose()
    index = Index(path)
    assert not index.fresh
    assert found(index, "red cat old guidance_scale:7.5 -strength:0..1") == ["a-0"]
    assert index.recipe("a-0") == recipe
    with index._engine.connect() as connection:
        assert revision_of(connection) == schema.HEAD
    index.close()


def test_a_database_of_a_newer_version_is_left_alone(index) -> None:
    with index._engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    index.close()
    with pytest.raises(SetupError, match="9999"):
        Index(index.path)
    assert sqlite3.connect(index.path).execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_file_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite3"
    path.write_bytes(b"this is no database at all" * 100)
    index = Index(path)
    assert index.fresh
    assert index.count() == 0
    assert [kept.read_bytes()[:4] for kept in tmp_path.glob("*.broken-*")] == [b"this"]
    index.close()


def test_opening_an_up_to_date_index_does_not_import_alembic(index, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from webui.library.index import Index; Index(pathlib.Path(sys.argv[1])).count();"
        "assert not {'alembic', 'torch', 'gradio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(index.path)], check=True, cwd=Path(schema.__file__).parents[2])


@pytest.mark.parametrize(
    "query", ["", "red", "red cat 红发", "ed", "-red", "model:starter", "steps:20 red", "none:such"]
)
@pytest.mark.parametrize("favourites", [False, True])
def test_a_page_is_read_in_order_and_never_sorted(index, put, query: str, favourites: bool) -> None:
    """Sorting all that fits is what would make a page of a large library slow."""
    put("a-0")
    asked: list[tuple[str, tuple]] = []
    sa.event.listen(index._engine, "before_cursor_execute", lambda *event: asked.append((event[2], event[3])))
    index.page(query, favourites=favourites, cursor="9999999999999999")
    ((statement, values),) = [one for one in asked if "LIMIT 51" in one[0]]
    with index._engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert plan
    assert not [step for step in plan if "TEMP B-TREE" in step]
