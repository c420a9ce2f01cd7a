"""Styles and wildcards: what prompts become, which files are looked at, and that a picture can be made again."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from extensions.diffusion.params import Txt2Img
from extensions.diffusion.prompts import routes, wildcards
from extensions.diffusion.prompts.reading import read
from extensions.diffusion.prompts.styles import Style, StyleBook, read_csv
from extensions.diffusion.prompts.wildcards import Draw, Wildcards
from extensions.diffusion.prompts.wording import Wording
from webui.api import NotFound, ParameterError, PromptQuestion
from webui.testing import Outcome, Studio, run_pipeline

Generate = Callable[..., Outcome]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with wildcards and styles."""
    for name, text in {
        "wildcards/animal.txt": "cat\n# no animal\n\ndog\nfox\n",
        "wildcards/colours/warm.txt": "\ufeffred\norange",
        "wildcards/pair.txt": "__animal__ and __animal__",
        "wildcards/loop.txt": "x __loop__",
        "wildcards/bomb.txt": "__bomb2____bomb2____bomb2__",
        "wildcards/bomb2.txt": "__bomb____bomb____bomb__ " * 40,
        "wildcards/empty.txt": "# nothing\n",
        "secret.txt": "outside",
        "styles/styles.csv": '\ufeffname,prompt,negative_prompt\nSoft,"{prompt}, soft light",harsh\n'
        "Oil,oil painting,\n",
        "styles/old.csv": "name,text,negative_prompt\nOld,ancient,new\nSoft,never,never\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def folders_of(data: Path) -> Callable[[str], list[Path]]:
    return lambda name: [data / name, data / "models" / name]


def draw(data: Path, text: str, seed: int = 1) -> str:
    return Draw(Wildcards(folders_of(data)("wildcards")), seed).expand(text)[0]


def test_a_wildcard_becomes_a_line_of_its_file(data: Path) -> None:
    met = {draw(data, "a __animal__!", seed) for seed in range(40)}
    assert met == {"a cat!", "a dog!", "a fox!"}
    assert {draw(data, "__colours/warm__", seed) for seed in range(20)} == {"red", "orange"}
    assert len({draw(data, "__animal____animal____animal__", seed) for seed in range(60)}) > 15


def test_the_same_seed_draws_the_same_on_every_machine(data: Path) -> None:
    assert [draw(data, "__animal__ __animal__ __pair__", seed) for seed in (0, 1, 2**40)] == PINNED


PINNED = ["fox cat fox and dog", "fox dog cat and dog", "cat fox fox and cat"]


def test_lines_may_hold_wildcards_and_never_run_away(data: Path) -> None:
    assert "__" not in draw(data, "__pair__")
    assert draw(data, "__loop__").startswith("x x x")
    assert len(draw(data, "__bomb__")) <= 20_000


@pytest.mark.parametrize(
    "text",
    [
        *("__nothing__", "__empty__", "__../secret__", "__/secret__", "__colours__", "____", "_animal_", "__.__"),
        *("\\__animal__", "__animal"),
        *("__a b__", "__a/../animal__", "__\x00__", "__" + "a" * 300 + "__"),
    ],
)
def test_what_has_no_file_stays_as_it_is(data: Path, text: str) -> None:
    (data / "wildcards" / "x.txt").unlink(missing_ok=True)
    assert draw(data, text) == text


def test_a_link_does_not_lead_out_of_the_folder(data: Path) -> None:
    (data / "wildcards" / "out.txt").symlink_to(data / "secret.txt")
    assert draw(data, "__out__") == "__out__"
    assert "out" not in Wildcards(folders_of(data)("wildcards")).names()
    assert "colours/warm" in Wildcards(folders_of(data)("wildcards")).names()


@given(st.text(alphabet="_a/.\\ b", max_size=60), st.integers(0, 2**63))
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_looked_through(text: str, seed: int) -> None:
    files = Wildcards([])
    files._lines["a"] = ("_", "__b__", "x")
    grown, remarks = Draw(files, seed).expand(text)
    for one, other in zip(wildcards.find(text), wildcards.find(text)[1:], strict=False):
        assert one.end <= other.start
    assert all(text[row.start : row.end].startswith("__") for row in remarks)
    if not wildcards.find(text):
        assert grown == text


def test_styles_go_around_the_prompt(data: Path) -> None:
    book = StyleBook(folders_of(data)("styles"))
    assert [style.name for style in book.all()] == ["Oil", "Old", "Soft"]
    assert book.named(["Soft"])[0].around("a cat", "rain") == ("a cat, soft light", "rain, harsh")
    assert book.named(["Oil"])[0].around("", "rain") == ("oil painting", "rain")
    assert book.named(["Old"])[0] == Style("Old", "ancient", "new")
    with pytest.raises(ParameterError, match="there are: Oil, Old, Soft"):
        book.named(["Soft", "None"])


def test_styles_are_saved_and_forgotten(data: Path) -> None:
    book = StyleBook(folders_of(data)("styles"))
    book.save(Style("Soft", 'new "text",\nover two lines', ""))
    book.save(Style("数", "猫", "狗"))
    assert {style.name: style for style in read_csv(data / "styles" / "styles.csv")}["数"] == Style("数", "猫", "狗")
    assert book.named(["Soft"])[0].prompt == 'new "text",\nover two lines'
    book.delete("Soft")
    assert book.named(["Soft"])[0].prompt == "never", "the one of the other file is seen now"
    for name in ("", "a\nb", "x" * 200):
        with pytest.raises(ParameterError):
            book.save(Style(name, "x"))


def test_a_style_of_ours_is_renamed_in_its_place(data: Path) -> None:
    book = StyleBook(folders_of(data)("styles"))
    book.save(Style("Last", "at the end"))
    assert book.rename("Soft", "Gentle") == Style("Gentle", "{prompt}, soft light", "harsh")
    assert [style.name for style in read_csv(data / "styles" / "styles.csv")] == ["Gentle", "Oil", "Last"]
    for old, new, error in (
        ("Old", "New", NotFound),
        ("Last", "Gentle", ParameterError),
        ("Last", " ", ParameterError),
    ):
        with pytest.raises(error):
            book.rename(old, new)
    with pytest.raises(ParameterError, match="a prompt or a negative prompt"):
        book.save(Style("Empty"))
    assert book.own_names() == {"Gentle", "Oil", "Last"}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a;b\n1;2", b'name,prompt\n"open', b"name\nonly"])
def test_a_file_that_holds_no_styles_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    assert all(style.name for style in read_csv(tmp_path / "x.csv"))
    assert read_csv(tmp_path / "none.csv") == []


def test_a_recipe_holds_what_was_drawn_and_from_what(data: Path) -> None:
    asked = Txt2Img(prompt="a __animal__", negative_prompt="x", styles=("Soft",))
    worded = Wording(asked, folders_of(data)).of(7)
    assert worded.record["prompt_template"] == "a __animal__"
    assert worded.record["applied_styles"] == ["Soft"]
    assert worded.words.texts == (worded.record["prompt"], "x, harsh")
    again = Wording(asked.model_copy(update={**worded.record, "styles": ()}), folders_of(data / "elsewhere")).of(99)
    assert again.words == worded.words
    assert again.record == {}
    assert Wording(Txt2Img(prompt="a cat"), folders_of(data)).of(7).record == {}


def test_the_words_for_a_missing_file_name_it(data: Path) -> None:
    worded = Wording(Txt2Img(prompt="a\n__beast__"), folders_of(data)).of(0)
    assert worded.notes == (
        "In the prompt, at 2:1: There is no wildcard file beast.txt with lines in it: the text stays as it is.",
    )
    assert worded.record["prompt_template"], "a file of that name that comes later changes nothing"


def recipe(outcome: Outcome, index: int) -> dict[str, Any]:
    with Image.open(outcome.paths[index]) as image:
        return dict(json.loads(image.info["lifelike"]))


def test_a_job_draws_for_each_picture_by_its_seed(
    generate: Generate, studio: Studio, tmp_path: Path, data: Path
) -> None:
    home = studio.settings.data_dir / "wildcards"
    home.mkdir(exist_ok=True)
    (home / "animal.txt").write_text("cat\ndog\nfox\n")
    outcome = generate("sd1", prompt="a __animal__", batch_count=6, seed=20)
    assert outcome.state == "done", outcome.error
    prompts = [recipe(outcome, index)["params"]["prompt"] for index in range(6)]
    assert len(set(prompts)) > 1
    assert [prompts[3]] == [recipe(generate("sd1", prompt="a __animal__", seed=23), 0)["params"]["prompt"]]
    with Image.open(outcome.paths[3]) as image:
        assert image.info["parameters"].startswith(prompts[3])
    # The recipe makes the same picture when the file says something else, and says the same of itself.
    (home / "animal.txt").write_text("horse\n")
    params = recipe(outcome, 3)["params"]
    again = run_pipeline("diffusion.txt2img", params, tmp_path, studio=studio, done_indices=[0, 1, 2, 4, 5])
    assert again.images[0].tobytes() == outcome.images[3].tobytes()
    assert recipe(again, 0) == recipe(outcome, 3)
    (home / "animal.txt").unlink()


def test_a_style_that_is_not_there_fails_the_job(generate: Generate) -> None:
    outcome = generate("sd1", styles=["Nowhere"])
    assert outcome.state == "failed"
    assert outcome.error is not None
    assert "there is no such style" in outcome.error.message


def question(data: Path, text: str, **how: Any) -> PromptQuestion:
    said = {"negative": False, "family": "sd1", "seed": 0, "limit": 75, **how}
    return PromptQuestion(
        text, folders=folders_of(data), tokenize=lambda part: [ord(letter) for letter in part if letter != " "],
        token=lambda name: ord(","), **said,
    )  # fmt: skip


def test_the_page_is_told_chunks_and_remarks(data: Path) -> None:
    assert read(question(data, "a cat")).chunks == (4,)
    assert read(question(data, "x" * 100 + " BREAK y")).chunks == (75, 25, 1)
    assert read(question(data, "(x:1.5) [aaa|b]")).chunks == (4,)
    assert read(question(data, "a AND " + "b" * 80)).chunks == (75, 5)
    assert read(question(data, "x" * 100, family="flux", limit=512)).chunks == (100,)
    other = read(question(data, "a [b:c:3] (x:1.2) AND y BREAK z", family="flux", limit=512))
    assert [(row.start, row.message.rpartition(": ")[2]) for row in other.remarks] == [
        (10, "weights are left out."),
        (18, "AND joins the texts to one."),
        (24, "BREAK is left out."),
    ]
    met = read(question(data, "__animal__ (x __none__"))
    assert not met.exact
    assert [(row.start, row.end, row.error) for row in met.remarks] == [(11, 12, False), (14, 22, True)]
    assert len(read(question(data, ")" * 500)).remarks) == 50


def test_everything_that_is_remarked_is_said_in_chinese_too() -> None:
    folder = Path(wildcards.__file__).parent
    table = json.loads((folder.parent / "locale" / "zh-CN.json").read_text(encoding="utf-8"))
    said = set()
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            is_words = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "words"
            name = getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
            if is_words or name in ("_say", "Remark"):
                values = [node.value] if isinstance(node, ast.Assign) else node.args  # type: ignore[attr-defined]
                said |= {one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    assert len(said) >= 16
    assert said <= set(table)


class Host:
    """What ``app_started`` receives."""

    def __init__(self, data: Path) -> None:
        self.http = FastAPI()
        self.folders = folders_of(data)


def test_styles_over_http(data: Path) -> None:
    app: Any = Host(data)
    routes.add(app)
    client = TestClient(app.http)
    assert client.put("/ext/diffusion/styles/Ink", json={"prompt": "ink, {prompt}"}).json()["name"] == "Ink"
    assert "Ink" in {row["name"] for row in client.get("/ext/diffusion/styles").json()["styles"]}
    assert client.put("/ext/diffusion/styles/Ink", json={"text": "x"}).status_code == 422
    assert client.delete("/ext/diffusion/styles/Ink").status_code == 200
    assert "animal" in client.get("/ext/diffusion/wildcards").json()["wildcards"]
