"""Instruction edits: the words name what changed, and nothing else did."""

from __future__ import annotations

from collections import Counter

import pytest

from extensions.starter.world import SPECS, draw, edit, sample
from extensions.starter.world.edit_phrases import TABLES

DOMAINS = list(TABLES)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_only_what_is_named_changes(domain: str, language: str) -> None:
    for seed in range(300):
        subject = sample(seed, domain)
        made = edit(subject, seed, language)
        assert made == edit(subject, seed, language)
        assert made.before == subject
        before, after = made.before.labels(), made.after.labels()
        for name in made.changed:
            assert min(before[name], after[name]) >= 0
            assert before[name] != after[name]
        moved = {n for n in before if min(before[n], after[n]) >= 0 and before[n] != after[n]}
        assert moved - made.changed <= FOLLOWS.get(domain, set())
        assert made.instruction
        assert "{" not in made.instruction
        assert "none" not in made.instruction


# The sun sets by itself where an instruction asks for night, and night falls where one asks for the moon.
FOLLOWS = {"scene": {"body", "time"}}


@pytest.mark.parametrize("domain", DOMAINS)
def test_pictures_of_a_pair_differ(domain: str) -> None:
    for seed in range(30):
        made = edit(sample(seed, domain), seed)
        assert draw(made.before, 64).tobytes() != draw(made.after, 64).tobytes(), made.instruction


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_attribute_is_edited_and_every_value_has_words(domain: str, language: str) -> None:
    counts = Counter(n for s in range(600) for n in edit(sample(s, domain), s, language).changed)
    assert set(counts) == set(TABLES[domain][language]) <= set(SPECS[domain])
    if language == "zh":
        for name, phrases in TABLES[domain]["zh"].items():
            plain = set(SPECS[domain][name]) - set(phrases.names)
            assert plain <= set(phrases.absent), f"{name}: values without Chinese words"


def test_some_instructions_ask_for_two_changes() -> None:
    sizes = Counter(len(edit(sample(s, "avatar"), s).changed) for s in range(200))
    assert set(sizes) == {1, 2}
    assert sizes[1] > sizes[2] > 20


def test_a_sketch_is_not_coloured_by_guess() -> None:
    for seed in range(200):
        sketch = sample(seed, "avatar").with_(style="sketch", eyewear="glasses")
        assert "style" not in edit(sketch, seed).changed or edit(sketch, seed).after.labels()["clothes"] < 0


def test_refuses_unknown_languages() -> None:
    with pytest.raises(ValueError, match=r"'fr'.*avatar in en and zh"):
        edit(sample(1, "avatar"), 1, "fr")
