"""The route that reads prompts while they are typed: plain text, an extension's language, and one that raises."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from webui.catalog.tokens import PromptTokens
from webui.core.specs import PromptQuestion, PromptReading, PromptRemark, PromptSyntax
from webui.web.services import Services


def shout(question: PromptQuestion) -> PromptReading:
    """A language in which capitals are remarked; "boom" cannot be read."""
    if question.text == "boom":
        raise RuntimeError(question.text)
    remarks = [
        PromptRemark(place, place + 1, "{letter} is loud", {"letter": letter}, error=question.negative)
        for place, letter in enumerate(question.text)
        if letter.isupper()
    ]
    words = tuple(len(question.tokenize(part)) for part in question.text.split("/"))
    return PromptReading(words, tuple(remarks))


@pytest.fixture
def ask(services: Services, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> Any:
    syntax = PromptSyntax("easel.shout", "Shout", shout)
    monkeypatch.setattr(type(services.host), "prompt_syntaxes", {"easel.shout": syntax})
    return lambda **body: client.post("/api/v1/prompt", json=body)


def test_plain_text_fills_chunks(ask: Any) -> None:
    said = ask(text="a " * 160).json()
    assert (said["used"], said["limit"], said["chunks"], said["exact"], said["remarks"]) == (
        160,
        75,
        [75, 75, 10],
        False,
        [],
    )
    assert ask(text="").json()["chunks"] == [0]
    assert ask(text="a", model="nowhere").json()["used"] == 1


def test_an_extension_reads_its_own_language(ask: Any) -> None:
    said = ask(text="a red / big Hill", syntax="easel.shout", negative=True).json()
    assert said["chunks"] == [2, 2]
    (remark,) = said["remarks"]
    assert remark == {
        "start": 12, "end": 13, "error": True,
        "text": "H is loud", "message": "{letter} is loud", "values": {"letter": "H"},
    }  # fmt: skip


def test_a_language_that_raises_leaves_the_count(ask: Any) -> None:
    assert ask(text="boom", syntax="easel.shout").json()["chunks"] == [1]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": "a", "syntax": "no.such"}, 404),
        ({}, 422),
        ({"text": "a" * 20_001}, 422),
        ({"text": "a", "other": 1}, 422),
        ({"text": 1}, 422),
    ],
)
def test_what_cannot_be_asked_is_a_problem(ask: Any, body: dict[str, Any], status: int) -> None:
    answer = ask(**body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


def test_words_stand_for_tokens_where_no_tokenizer_is_known() -> None:
    tokens = PromptTokens(None)
    assert not tokens.exact
    assert tokens.tokenize("a cat, \ud800")[2] == tokens.token(",</w>")
    assert tokens.limit == 75
