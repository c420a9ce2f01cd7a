"""The host loads the good, refuses the bad, and says why; one extension never harms another."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from webui.app import build_host
from webui.core.errors import ExtensionError, NotFound, SetupError
from webui.core.settings import Settings
from webui.plugins.guard import StartGuard
from webui.plugins.host import ExtensionHost

_spec = importlib.util.spec_from_file_location("plugin_zoo", Path(__file__).with_name("zoo.py"))
assert _spec is not None
assert _spec.loader is not None
zoo = importlib.util.module_from_spec(_spec)
sys.modules["plugin_zoo"] = zoo
_spec.loader.exec_module(zoo)

Load = Callable[..., ExtensionHost]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(*animals: object, guard: StartGuard | None = None, **settings: object) -> ExtensionHost:
        for animal in animals:
            animal.write(tmp_path / "extensions")  # type: ignore[attr-defined]
        chosen = Settings(data_dir=tmp_path, extensions_dirs=(tmp_path / "extensions",), **settings)  # type: ignore[arg-type]
        return ExtensionHost.load(chosen, guard=guard)

    return load


@pytest.mark.parametrize("animal", zoo.ZOO, ids=lambda animal: animal.id)
def test_a_bad_extension_is_named_and_the_good_ones_load(load: Load, animal) -> None:  # type: ignore[no-untyped-def]
    host = load(zoo.good("good_one"), animal, zoo.good("zebra"))
    records = {record.id: record for record in host.extensions}
    bad = records[animal.id]
    assert (bad.state, bad.stage) == (animal.state, animal.stage), bad.reason
    assert animal.says in bad.reason
    assert bad.hint
    assert bad.pipelines == ()
    assert records["good_one"].state == records["zebra"].state == "loaded"
    assert set(host.pipelines) == {"good_one.make", "zebra.make"}
    assert not [name for name in sys.modules if name.startswith(f"extensions.{animal.id}")]


def test_the_whole_zoo_at_once(load: Load) -> None:
    host = load(zoo.good("good_one"), *zoo.ZOO, zoo.good("zebra"))
    assert len(zoo.ZOO) >= 15
    assert {record.id for record in host.extensions if record.state == "loaded"} == {"good_one", "zebra"}
    assert len(host.extensions) == len(zoo.ZOO) + 2


def test_a_raised_error_keeps_its_traceback(load: Load) -> None:
    (record,) = load(zoo.ZOO[0]).extensions
    assert "boom" in record.traceback
    assert "raises_at_import" in record.traceback


def test_the_same_id_in_two_folders_is_refused(tmp_path: Path) -> None:
    zoo.good("twin").write(tmp_path / "a")
    zoo.good("twin").write(tmp_path / "b")
    host = ExtensionHost.load(Settings(data_dir=tmp_path, extensions_dirs=(tmp_path / "a", tmp_path / "b")))
    assert [record.state for record in host.extensions] == ["loaded", "blocked"] or [
        record.state for record in host.extensions
    ] == ["blocked", "loaded"]
    assert set(host.pipelines) == {"twin.make"}
    assert "taken by" in next(record.reason for record in host.extensions if record.state == "blocked")


def test_an_extension_waits_for_those_it_requires(load: Load) -> None:
    first = zoo.Animal(
        "a_needs_z",
        zoo.GOOD_INIT,
        "loaded",
        "",
        "",
        manifest='id = "{id}"\nversion = "1"\napi = "1.0"\nrequires_extensions = ["z_base>=1.0"]',
    )
    host = load(first, zoo.good("z_base"))
    assert [record.id for record in host.extensions] == ["z_base", "a_needs_z"]
    assert set(host.versions()) == {"z_base", "a_needs_z"}


def test_two_that_require_each_other_are_blocked(load: Load) -> None:
    def needs(one: str, other: str) -> object:
        manifest = f'id = "{one}"\nversion = "1"\napi = "1.0"\nrequires_extensions = ["{other}"]'
        return zoo.Animal(one, zoo.GOOD_INIT, "blocked", "requirements", "", manifest=manifest)

    host = load(needs("left", "right"), needs("right", "left"), zoo.good("good_one"))
    assert {record.id: record.state for record in host.extensions} == {
        "left": "blocked", "right": "blocked", "good_one": "loaded",
    }  # fmt: skip


def test_disable_safe_mode_and_strict(load: Load, tmp_path: Path) -> None:
    host = load(zoo.good("good_one"), zoo.ZOO[0], disabled_extensions=("good_one",))
    assert {record.id: record.state for record in host.extensions}["good_one"] == "disabled"
    safe = Settings(data_dir=tmp_path, extensions_dirs=(tmp_path / "extensions",), safe_mode=True)
    assert ExtensionHost.load(safe).extensions == ()  # none of them came with the project
    with pytest.raises(SetupError, match="raises_at_import"):
        ExtensionHost.load(safe.model_copy(update={"safe_mode": False, "strict_extensions": True}))


def test_hooks_are_called_one_by_one(load: Load) -> None:
    def job_hook(name: str, body: str) -> object:
        init = f"from webui.api import hookimpl\n\n@hookimpl\ndef prepare_job(job):\n    {body}\n"
        return zoo.Animal(name, init, "loaded", "", "")

    host = load(
        job_hook("a_first", "return 'one'"),
        job_hook("b_bad", "raise SystemExit(1)"),
        job_hook("c_last", "yield 'three'"),
    )
    results = host.call_each("prepare_job", job=None)
    assert [result.extension for result in results] == ["a_first", "b_bad", "c_last"]
    assert results[0].value == "one"
    assert isinstance(results[1].error, SystemExit)
    assert results[2].value == ["three"]
    assert host.first("prepare_job", job=None) == "one"
    with pytest.raises(NotFound, match="does not implement"):
        host.call("a_first", "app_stopping")


def test_a_tab_that_nobody_declares_is_made_from_its_name(load: Load) -> None:
    init = zoo.GOOD_INIT.replace('title="Make"', 'title="Make", tab="my_tab"')
    host = load(zoo.Animal("tabbed", init, "loaded", "", ""), zoo.good("good_one"))
    assert [(tab.id, tab.title) for tab in host.tabs] == [("my_tab", "My tab")]


def test_heavy_parts_load_by_name(load: Load) -> None:
    host = load(zoo.good("good_one"))
    assert host.load_object("good_one", ".work:Make").__name__ == "Make"
    assert host.load_object("good_one", "extensions.good_one.work:Make").__name__ == "Make"
    with pytest.raises(ExtensionError, match="Nothing") as caught:
        host.load_object("good_one", ".work:Nothing")
    assert caught.value.extension == "good_one"


def test_the_guard_leaves_out_what_never_came_back(load: Load, tmp_path: Path) -> None:
    mark = tmp_path / "starting.json"
    guard = StartGuard(mark)
    with pytest.raises(KeyboardInterrupt), guard.importing("good_one"):
        raise KeyboardInterrupt
    host = load(zoo.good("good_one"), zoo.good("zebra"), guard=StartGuard(mark))
    assert {record.id: record.state for record in host.extensions} == {"good_one": "blocked", "zebra": "loaded"}
    assert "last start" in next(record.reason for record in host.extensions if record.id == "good_one")
    again = StartGuard(mark)
    again.forgive("good_one")
    assert not mark.exists()
    with again.importing("zebra"):
        assert mark.exists()
    assert not mark.exists()


def test_the_command_line_leaves_it_out_too_and_marks_nothing(load: Load, tmp_path: Path) -> None:
    load(zoo.good("good_one"), zoo.good("zebra"))
    settings = Settings(data_dir=tmp_path, extensions_dirs=(tmp_path / "extensions",))
    mark = tmp_path / "starting.json"
    mark.write_text('["zebra"]')
    states = {record.id: (record.state, record.stage) for record in build_host(settings).extensions}
    assert states == {"good_one": ("loaded", ""), "zebra": ("blocked", "import")}
    assert mark.read_text() == '["zebra"]'
