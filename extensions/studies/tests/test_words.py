"""Both pages speak both languages, and fetch nothing from elsewhere."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from extensions.studies.plots import WORDS

STATIC = Path(__file__).resolve().parents[1] / "static"
_CALL = re.compile(r'\bt\(\s*"((?:[^"\\]|\\.)*)"')
_SLOT = re.compile(r"\{(\w+)\}")
REASONS = {
    "no answer yet",
    "missed attention trials",
    "not finished",
    "no attention trial yet",
}
"""Why a rater is not counted: words of ``analysis.excluded`` that the owner's page translates."""


NOTES = {
    "There are pictures for {most} trials of a rater, not {trials}.",
    "{count} pictures are smaller than {width} x {height} and were enlarged: blur may tell them.",
    "JPEG files are unequally many in the sets ({shares}): traces of compression may tell them. See Same compression.",
    "{top} never lost to {rest}: no finite strength is large enough. "
    "Gather more answers, or read the shares of preferences alone.",
}
"""Finished sentences of the server, which the owner's page translates by their shape."""


def table() -> dict[str, str]:
    text = (STATIC / "words.js").read_text(encoding="utf-8")
    body = json.loads(text[text.index("{") : text.rindex("}") + 1])
    words: dict[str, str] = body["zh-CN"]
    return words


def said(name: str) -> set[str]:
    return {json.loads(f'"{text}"') for text in _CALL.findall((STATIC / name).read_text(encoding="utf-8"))}


def test_every_text_of_both_pages_is_translated_and_no_other() -> None:
    used = said("rate.js") | said("desk.js") | REASONS | NOTES
    assert len(used) > 70
    assert sorted(used - set(table())) == []
    assert sorted(set(table()) - used) == []


def test_the_reasons_are_those_of_the_analysis() -> None:
    source = (STATIC.parent / "analysis.py").read_text(encoding="utf-8")
    body = source[source.index("def excluded") : source.index("def _main")]
    assert set(re.findall(r'return "([^"]+)"', body)) == REASONS


def test_the_notes_are_sentences_that_the_server_says() -> None:
    spoken = set()
    for name in ("create.py", "preference.py"):
        for node in ast.walk(ast.parse((STATIC.parent / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "{}" for one in node.values]
                spoken.add("".join(map(str, parts)))
    whole = {sentence for sentence in spoken if len(sentence) > 40}
    for note in NOTES:
        assert any(sentence in _SLOT.sub("{}", note) for sentence in whole), note


def test_translations_keep_their_slots() -> None:
    for text, translated in table().items():
        assert set(_SLOT.findall(text)) == set(_SLOT.findall(translated)), text


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_no_page_asks_for_anything_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(", text)
    assert not re.search(r"<script>|style=\"|\son\w+=", text), "nothing that the policy forbids"


def test_plots_have_their_words_in_every_language() -> None:
    source = (STATIC.parent / "plots.py").read_text(encoding="utf-8")
    used = set(re.findall(r'\bt\("([^"]+)"', source)) | set(re.findall(r'else "(All answers)"', source))
    assert {tag: set(words) for tag, words in WORDS.items()} == {"en": set(), "zh-CN": used}
