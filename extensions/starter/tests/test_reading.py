"""Prompts read back: a caption of the grammar says what it was made from, in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extensions.starter.world import LANGUAGES, describe, heads, sample
from extensions.starter.world.reading import read_prompt, requested_heads


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_caption_is_read_as_it_was_meant(language: str) -> None:
    for seed in range(1500):
        subject = sample(seed)
        caption = describe(subject, seed + 7, language=language)
        request = read_prompt(caption.text)
        assert request is not None, caption.text
        assert request.domain == subject.domain, caption.text
        said = {**request.implied, **request.named}
        assert {n: said.get(n) for n in caption.settles} == {n: getattr(subject, n) for n in caption.settles}, (
            caption.text
        )
        assert all(getattr(subject, n) == v for n, v in request.named.items()), caption.text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("A woman with RED hair, smiling", {"hair_colour": "red", "mood": "smiling"}),
        ("blonde-haired girl without glasses", {"hair_colour": "blond", "eyewear": "none"}),
        ("a man in a green t-shirt", {"clothes": "green", "garment": "shirt"}),
        ("a cat on the beach at night", {"animal": "cat", "kind": "sea", "time": "night"}),
        ("pencil sketch of a man with a red beard", {"style": "sketch", "beard": "beard"}),
        ("一个红色头发的人，戴着墨镜", {"hair_colour": "red", "eyewear": "sunglasses"}),
    ],
)
def test_free_text_is_read_as_far_as_it_is_known(text: str, named: dict[str, str]) -> None:
    request = read_prompt(text)
    assert request is not None
    assert request.named == named
    assert not set(request.implied) & set(named)


@pytest.mark.parametrize("text", ["", "hello", "rainbows and cattle", "a redhead", "quantum chromodynamics"])
def test_what_names_nothing_asks_for_nothing(text: str) -> None:
    assert read_prompt(text) is None


@given(st.text(max_size=60))
def test_any_text_is_read_and_answers_are_heads_of_the_judge(text: str) -> None:
    for part in requested_heads(text) or ():
        assert all(value in heads()[name] for name, value in part.items())
