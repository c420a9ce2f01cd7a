"""The report: one page that needs nothing else, with what was measured and nothing unescaped."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from extensions.metrics.report import marks
from extensions.metrics.report import page as page_module
from extensions.metrics.report.page import Html, Section, page, paragraph, picture, table, text
from extensions.metrics.report.sections import evenly
from extensions.metrics.report.words import Words
from webui.testing import Outcome, Studio, run_pipeline

Score = Callable[..., Outcome]
VOID = {"meta", "img", "br", "line", "rect", "circle"}


class Reader(HTMLParser):
    """Whether what is opened is closed, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(document: str) -> Reader:
    reader = Reader()
    reader.feed(document)
    assert reader.open == []
    assert all(address.startswith("data:image/webp;base64,") for address in reader.addresses)
    assert "<script" not in document
    assert not re.search(r"url\(|@import|https?:", document)
    return reader


@pytest.fixture(scope="module")
def drawings(studio: Studio) -> Path:
    folder = studio.settings.data_dir / "sets" / "report"
    said = {"samples": 16, "style": "flat", "full_captions": True, "folder": str(folder), "seed": 50}
    assert run_pipeline("starter.draw", said, studio.settings.data_dir, studio=studio).state == "done"
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    lines[0] = re.sub(r'"text": "', r'"text": "<script>alert(1)</script> no hat, ', lines[0])
    (folder / "metadata.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_a_report_holds_itself_and_tells_everything(score: Score, drawings: Path) -> None:
    outcome = score("report", generated=drawings, samples=16, title="Mine & <yours>")
    assert outcome.state == "done", outcome.error
    assert [record.kind for record in outcome.records] == ["file"]
    document = outcome.paths[0].read_text(encoding="utf-8")
    words = "".join(read(document).words)
    for heading in ("Mine & <yours>", "Samples", "Scores of the set", "FD-starter", "What was asked for", "avatar.hat",
                    "Who is drawn worse", "Nearest real pictures", "NIQE", "Protocol"):  # fmt: skip
        assert heading in words, heading
    assert "<script>alert(1)</script> no hat" in words
    assert "Draw pictures, seeds from" in words
    assert str(outcome.studio.settings.data_dir / "work") not in document
    assert document.count("data:image/webp") >= 16 + 12


def test_pictures_that_say_nothing_are_reported_without_attributes(score: Score, made: Path, real: Path) -> None:
    outcome = score("report", generated=made, real=real, samples=16, language="zh-CN")
    assert outcome.state == "done", outcome.error
    document = outcome.paths[0].read_text(encoding="utf-8")
    assert document.startswith('<!doctype html>\n<html lang="zh-CN">')
    words = "".join(read(document).words)
    assert "没有说明是由什么生成的" in words
    assert "真实对真实" in words
    assert "失败" not in words
    assert not re.search(r"Samples|Scores of|Single pictures|Protocol|What was asked|beside", words)
    assert "张真实图片对 128 个特征来说太少" in words  # the warning, whose record stays as it was
    assert any("real pictures are few for 128 features" in said for said in outcome.warnings)


def test_attributes_and_failures_are_told_in_chinese(score: Score, drawings: Path) -> None:
    document = score("report", generated=drawings, samples=16, language="zh-CN").paths[0].read_text(encoding="utf-8")
    words = "".join(word for word in read(document).words if not word.startswith("{"))  # not the protocol
    assert "人物：帽子" in words
    assert not re.search(r"avatar\.|scene\.| asked, ", words)


def test_every_text_of_a_report_is_translated() -> None:
    """Literals that are handed to ``t``, and headings of tables."""
    room, said = Path(page_module.__file__).parent, set()
    for path in (room / "sections.py", room / "making.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "_names"):
                said |= {one.value for one in node.args if isinstance(one, ast.Constant) and one.value}
    assert len(said) > 40
    table = json.loads((room.parent / "locale" / "zh-CN.json").read_text(encoding="utf-8"))
    assert sorted(said - set(table)) == []
    assert Words("zh-CN", table)("{low} to {high}", low="1", high="2") == "1 至 2"
    assert Words("fr")("Samples") == Words("en")("Samples") == "Samples"


def test_what_another_job_said_is_told_in_the_reports_language() -> None:
    table = {
        "{count} {name} pictures are few for {dim}: {why}.": "{count} 张{name}图片对 {dim} 太少：{why}。",
        "real": "真实",
        "Give {n}, and {n} again.": "请给出 {n}。",
        "avatar.hat: crown": "王冠",
        "{0} of {1} numbered": "{0}",
        "Nothing said of {it}.": "{another} 与 {it}",
    }
    t = Words("zh-CN", table)
    assert t.told("5 real pictures are few for 128: so it is.") == "5 张真实图片对 128 太少：so it is。"
    assert t.told("Give 3, and 3 again. More follows.") == "请给出 3。 More follows."
    assert t.told("Give 3, and 4 again.") == "Give 3, and 4 again."
    assert t.told("3 of 4 numbered") == "3 of 4 numbered", "slots are named"
    assert t.told("Nothing said of that.") == "{another} 与 that", "a foreign table does not end the report"
    assert (t.value("avatar.hat", "crown"), t.value("avatar.hat", "cap")) == ("王冠", "cap")
    assert Words().told("5 real pictures are few for 128: x.") == "5 real pictures are few for 128: x."


def test_what_is_text_is_escaped_and_what_is_markup_is_not() -> None:
    assert text("<b>&") == "&lt;b&gt;&amp;"
    assert text(Html("<b>")) == "<b>"
    assert (text(0.123456), text(None), text(True), text(7)) == ("0.1235", "", "yes", "7")
    document = page("<t>", "<s>", [Section("<h>", "<l>", Html(paragraph("<p>") + table(("<n>",), [("<c>",), (1.5,)])))])
    assert "".join(read(document).words).count("<") == 8
    assert 'class="number">1.5' in document


def test_pictures_are_made_smaller_and_never_larger() -> None:
    figure = picture(Image.new("RGB", (400, 200)), 'a "quoted" <caption>')
    assert 'width="128" height="64"' in figure
    assert 'alt="a &quot;quoted&quot; &lt;caption&gt;"' in figure
    assert 'width="20" height="20"' in picture(Image.new("RGB", (20, 20)))


def test_samples_are_even() -> None:
    assert evenly(5, 24) == [0, 1, 2, 3, 4]
    assert evenly(100, 5) == [0, 24, 49, 74, 99]


@pytest.mark.parametrize(
    "drawn",
    [
        marks.on_line(1.0, 0.5, 2.0, 0.0),
        marks.on_line(1.0, None, None, None),
        marks.on_line(1.0, float("-inf"), 2.0, float("nan")),
        marks.bar(0.5, 0.4, 0.6),
        marks.bar(1.0, 0.9, 1.0),
        marks.histogram([(0.0, 3), (1.0, 0)]),
    ],
)
def test_marks_stay_within_their_frame(drawn: str) -> None:
    reader = Reader()
    reader.feed(drawn.replace("/>", ">"))
    assert reader.open == []
    assert "nan" not in drawn
    assert "inf" not in drawn
    places = [float(value) for value in re.findall(r' (?:x1|x2|cx|x)="([\d.e+-]+)"', drawn)]
    assert all(0 <= place <= 320 for place in places)
