"""Every text that the page shows is there in every language, and the page carries them safely."""

from __future__ import annotations

import json
import re
from pathlib import Path

import gradio as gr
import pytest
from gradio.i18n import I18nData

from tests.web_ui import words
from tests.web_ui.loops import closed_loops
from webui.core import validating
from webui.core.settings import ROOT, Settings
from webui.plugins.host import ExtensionHost
from webui.web.services import Services
from webui.web.ui import head, i18n, shell
from webui.web.ui.page import choice_lists, form_services

_SLOT = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> ExtensionHost:
    return ExtensionHost.load(Settings(data_dir=tmp_path_factory.mktemp("data"), safe_mode=True))


@pytest.fixture(scope="module")
def tables(built_in: ExtensionHost) -> dict[str, dict[str, str]]:
    return i18n.load_tables([Path(one.path) for one in built_in.extensions if one.state == "loaded"])


def missing(texts: set[str], table: dict[str, str]) -> list[str]:
    return sorted(text for text in texts - words.NAMES if not table.get(text))


def test_every_text_of_our_scripts_is_translated(tables: dict[str, dict[str, str]]) -> None:
    said = words.of_scripts()
    assert "Make the first picture" in said
    assert {tag: missing(said, table) for tag, table in tables.items()} == {tag: [] for tag in tables}


def test_every_declaration_of_the_built_in_extensions_is_translated(
    built_in: ExtensionHost, tables: dict[str, dict[str, str]]
) -> None:
    said = words.of_declarations(built_in.pipelines.values(), built_in.tabs)
    assert {tag: missing(said, table) for tag, table in tables.items()} == {tag: [] for tag in tables}


def test_every_component_of_the_host_is_translated(services: Services, tables: dict[str, dict[str, str]]) -> None:
    with closed_loops():
        tabs = shell.build_tabs(services, form_services(services))
        page = shell.build_blocks(tabs)
        with page:  # what the page makes when it is first looked at, too
            for form in (form for tab in tabs for form in tab.forms if not form.widgets):
                form.build()
    declared = words.of_declarations(services.host.pipelines.values(), services.host.tabs)
    own = words.of_blocks(page) - declared - {"A tab of its own"}
    values = {value for spec in services.host.pipelines.values() for value in _option_values(spec)}
    values |= {name for names in choice_lists(services).values() for name in names()}  # what people named
    assert {tag: missing(own - values, table) for tag, table in tables.items()} == {tag: [] for tag in tables}


def _option_values(spec: object) -> set[str]:
    from webui.core.parameters import describe

    return {value for row in describe(spec.params) for value, _ in row.options}  # type: ignore[attr-defined]


def test_what_is_wrong_with_a_field_is_translated(built_in: ExtensionHost, tables: dict[str, dict[str, str]]) -> None:
    """Every message of a ``FieldError``, as it is written, has a sentence of the same shape in every language."""
    folders = [ROOT / "webui", *(Path(one.path) for one in built_in.extensions if one.path)]
    said = words.of_field_errors(folders) | set(validating._WORDS.values()) | set(validating._NEEDED.values())
    assert "is required" in said
    for table in tables.values():
        shapes = {_SLOT.sub("{}", text) for text in table}
        assert sorted(text for text in said if _SLOT.sub("{}", text) not in shapes) == []


def test_warnings_of_jobs_are_translated(built_in: ExtensionHost, tables: dict[str, dict[str, str]]) -> None:
    said = words.of_warnings(Path(one.path) for one in built_in.extensions if one.path)
    assert len(said) > 30
    for table in tables.values():
        shapes = {_SLOT.sub("{}", text) for text in table}
        assert sorted(text for text in said if text not in shapes) == []


def test_translations_keep_their_slots(tables: dict[str, dict[str, str]]) -> None:
    for table in tables.values():
        for text, translated in table.items():
            assert set(_SLOT.findall(text)) == set(_SLOT.findall(translated)), text


def test_an_extension_brings_words_but_cannot_change_the_pages(tmp_path: Path) -> None:
    folder = tmp_path / "locale"
    folder.mkdir()
    (folder / "zh-CN.json").write_text(json.dumps({"Whiskers": "胡须", "Delete": "别的"}), encoding="utf-8")
    table = i18n.load_tables([tmp_path])["zh-CN"]
    assert (table["Whiskers"], table["Delete"]) == ("胡须", "删除")


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": ' + '"' + "x" * 2**20 + '"}'])
def test_a_bad_locale_file_is_left_out(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "locale").mkdir()
    (tmp_path / "locale" / "zh-CN.json").write_text(content, encoding="utf-8")
    assert i18n.load_tables([tmp_path])["zh-CN"]["Delete"] == "删除"
    assert "left out" in caplog.text


def test_the_pages_head_cannot_be_broken_by_a_text() -> None:
    lines = head.first_lines({"prompt": "</script><script>alert(1)</script><!-- \u2028"}).decode()
    inline = lines.split("window.LIFELIKE=")[1].split(";</script>")[0]
    assert "<" not in inline
    assert json.loads(inline) == {"prompt": "</script><script>alert(1)</script><!-- \u2028"}


def test_no_static_file_asks_for_anything_from_elsewhere() -> None:
    for path in (ROOT / "webui" / "web" / "ui" / "static").iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), path.name


def test_a_text_with_braces_is_not_marked_for_gradio() -> None:
    """Gradio would show the mark itself in its place."""
    plain, braced = "Prompt", '[{"box": [40, 30, 90, 100]}]'
    with closed_loops(), gr.Blocks() as page:
        box = gr.Textbox(label=plain, placeholder=braced)
    i18n.mark(page.blocks.values(), {"zh-CN": {plain: "提示词", braced: braced}})
    assert isinstance(box.label, I18nData)
    assert box.placeholder == braced
