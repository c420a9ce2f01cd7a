"""Words of the page in the languages it speaks: read from the locale files, handed to Gradio and to our own scripts.

English text is its own key. Labels that pass through Gradio are marked after the page is built (``mark``); Gradio
looks them up in the browser, by the language that ``static/boot.js`` settles before anything else runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from webui.plugins.words import read_table, words_of

LOCALES: Mapping[str, str] = {"en": "English", "zh-CN": "简体中文"}
"""Every language of the page, by its tag, in its own words."""

_HERE = Path(__file__).resolve().parent
_MARKED = ("label", "info", "placeholder")


def load_tables(extension_folders: Iterable[Path] = ()) -> dict[str, dict[str, str]]:
    """Translations by locale: the page's own, then those of extensions (``<folder>/locale/<tag>.json``), which cannot
    change the page's.
    """
    tables: dict[str, dict[str, str]] = {}
    folders = list(extension_folders)
    for tag in LOCALES:
        if tag == "en":
            continue
        tables[tag] = {**words_of(folders, tag), **read_table(_HERE / "locale" / f"{tag}.json")}
    return tables


def for_gradio(tables: Mapping[str, Mapping[str, str]]) -> Any:
    """The tables as Gradio's ``I18n``; English maps every text to itself, so that a missing language falls back to
    words.
    """
    english = {text: text for table in tables.values() for text in table}
    return gr.I18n(en=english, **{tag: dict(table) for tag, table in tables.items()})


def mark(blocks: Iterable[Any], tables: Mapping[str, Mapping[str, str]]) -> None:
    """Make every label, hint, placeholder and button text of these components that has a translation follow the
    browser's language.
    """
    # Gradio reads a marked text up to its first closing brace: an example in JSON stays as it is.
    known = {text for table in tables.values() for text in table if "}" not in text}
    for block in blocks:
        for name in _MARKED:
            text = getattr(block, name, None)
            if isinstance(text, str) and text in known:
                setattr(block, name, I18nData(text))
        if isinstance(block, gr.Button) and isinstance(block.value, str) and block.value in known:
            block.value = str(I18nData(block.value))


def texts(blocks: Any) -> set[str]:
    """Every text of a built, unmarked page that a person reads in a Gradio component."""
    found: set[str] = set()
    for block in blocks.blocks.values():
        words = [getattr(block, name, None) for name in _MARKED]
        if isinstance(block, gr.Button):
            words.append(block.value)
        if isinstance(block, gr.Radio | gr.Dropdown):
            words += [label for label, _ in block.choices]
        found.update(word for word in words if isinstance(word, str) and word.strip())
    return found
