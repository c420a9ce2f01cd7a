"""The page as it is mounted: one broken tab among good ones, its head, its size, presets on disk."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from gradio.context import LocalContext
from starlette.testclient import TestClient

from tests.web_ui.loops import closed_loops
from webui.app import build_services
from webui.core.errors import Conflict, NotFound
from webui.core.settings import ROOT, Settings
from webui.web.services import Services
from webui.web.ui import head, page, shell
from webui.web.ui.page import form_services
from webui.web.ui.presets import MAX_NAME, PresetStore

MOST_BLOCKS = 320


@pytest.fixture(scope="module")
def client(services: Services) -> Iterator[TestClient]:
    with closed_loops():
        app = page.mount(FastAPI(), services)
        # Not entered: Gradio's own start asks for nothing that these requests need.
        yield TestClient(app, base_url="http://127.0.0.1")


def test_the_head_comes_before_gradio(client: TestClient) -> None:
    text = client.get("/").text
    assert text.index("window.LIFELIKE") < text.index("window.gradio_config")
    assert text.count("/ui/static/boot.js") == 1


def test_static_files_are_served_by_their_content(client: TestClient) -> None:
    answer = client.get(page.routes.address("boot.js"))
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_a_broken_tab_does_not_touch_the_others(services: Services) -> None:
    with closed_loops():
        built = {one.spec.id: one for one in shell.build_tabs(services, form_services(services))}
    assert "this tab breaks while it is built" in built["broken"].problem
    assert built["own"].blocks is not None
    assert [form.spec.id for form in built["own"].forms] == ["sketch.draw"]
    assert [form.spec.id for form in built["tools"].forms] == ["sketch.blend", "sketch.everything"]
    assert built["tools"].subtabs == {"form-sketch-blend", "form-sketch-everything"}
    assert built["own"].subtabs == set()


def test_the_forms_of_a_custom_tab_are_found_in_its_sub_tabs(tmp_path: Path) -> None:
    others = tuple(
        one.parent.name for one in (ROOT / "extensions").glob("*/extension.toml") if one.parent.name != "studies"
    )
    built_in = build_services(Settings(data_dir=tmp_path, models_dirs=(), disabled_extensions=others))
    with closed_loops():
        tabs = shell.build_tabs(built_in, form_services(built_in))
    told = head.config(tabs, {}, "en")
    assert {form["pipeline"]: form["subtab"] for form in told["forms"]} == {
        "studies.arena": "form-studies-arena",
        "studies.create": "form-studies-create",
        "studies.results": "form-studies-results",
    }
    built_in.library.close()


def test_a_form_without_a_model_names_the_folder_that_is_missing_one(tmp_path: Path) -> None:
    others = tuple(
        one.parent.name
        for one in (ROOT / "extensions").glob("*/extension.toml")
        if one.parent.name not in ("gan", "diffusion")
    )
    built_in = build_services(Settings(data_dir=tmp_path, models_dirs=(tmp_path,), disabled_extensions=others))
    with closed_loops():
        tabs = shell.build_tabs(built_in, form_services(built_in))
    told = {form["pipeline"]: form for form in head.config(tabs, {}, "en")["forms"]}
    assert told["gan.sample"]["needs_model"]
    assert told["gan.sample"]["model_folder"] == "models/gan"
    assert told["diffusion.txt2img"]["model_folder"] == "models/checkpoints"
    assert "style" in others  # diffusion has forms in that tab: whose extension is off, it is one still
    assert {form.spec.extension for tab in tabs if tab.spec.id == "style" for form in tab.forms} == {"diffusion"}
    built_in.library.close()


def test_one_pipeline_in_two_tabs_has_two_names(services: Services) -> None:
    with closed_loops():
        tabs = shell.build_tabs(services, form_services(services))
    slugs = [form.slug for tab in tabs for form in tab.forms]
    assert len(slugs) == len(set(slugs))


def test_the_page_stays_small(services: Services) -> None:
    with closed_loops():
        blocks = shell.build_blocks(shell.build_tabs(services, form_services(services)))
    assert len(blocks.blocks) < MOST_BLOCKS
    assert all(fn.queue is False for fn in blocks.fns.values())


def test_the_first_form_is_in_the_page_and_the_others_are_made_when_they_are_looked_at(services: Services) -> None:
    marked: list[list[object]] = []
    with closed_loops():
        tabs = shell.build_tabs(services, form_services(services))
        blocks = shell.build_blocks(tabs, lambda made: marked.append(list(made)))
    first, *later = [form for tab in tabs if tab.blocks is None for form in tab.forms]
    places = {block.elem_id for block in blocks.blocks.values()}
    assert f"go-{first.slug}" in places
    assert f"await-{first.slug}" not in places
    assert later
    assert all(f"await-{form.slug}" in places and f"go-{form.slug}" not in places for form in later)
    assert len(blocks.renderables) == len(later)
    token = LocalContext.blocks_config.set(copy.copy(blocks.default_config))
    try:
        blocks.renderables[0].apply()
        made = {block.elem_id for block in LocalContext.blocks_config.get().blocks.values()}
    finally:
        LocalContext.blocks_config.reset(token)
    assert f"go-{later[0].slug}" in made
    assert f"go-{later[0].slug}" in {block.elem_id for block in marked[0]}  # type: ignore[attr-defined]
    assert not later[0].widgets  # each page has components of its own


def test_presets_survive_and_their_names_are_checked(tmp_path: Path) -> None:
    store = PresetStore(tmp_path)
    assert store.save("a.b", "  soft   light ", {"steps": 5}) == "soft light"
    assert PresetStore(tmp_path).get("a.b", "soft light") == {"steps": 5}
    for name in ("", " ", "x" * (MAX_NAME + 1)):
        with pytest.raises(Conflict):
            store.save("a.b", name, {})
    with pytest.raises(NotFound):
        store.get("a.b", "none")
    with pytest.raises(NotFound):
        store.names("../../etc/passwd")
    assert [path.name for path in tmp_path.iterdir()] == ["a.b.json"]


def test_a_broken_preset_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "a.b.json").write_text("{", encoding="utf-8")
    store = PresetStore(tmp_path)
    assert store.names("a.b") == []
    store.save("a.b", "new", {})
    assert (tmp_path / "a.b.broken.json").read_text(encoding="utf-8") == "{"


def test_presets_saved_at_once_are_all_kept(tmp_path: Path) -> None:
    store = PresetStore(tmp_path)
    threads = [threading.Thread(target=store.save, args=("a.b", f"n{place}", {})) for place in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.names("a.b")) == 16
