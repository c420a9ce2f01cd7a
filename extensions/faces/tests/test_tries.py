"""Tries: bolder from rung to rung, ended by the first that is all that was wished for; what is wished for is read from
words, and a face is described in words for models that are told descriptions.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("cv2")

import torch

from extensions.faces.judging.captions import caption, captions
from extensions.faces.judging.judge import Read, Wanted, judged, lost_heads
from extensions.faces.judging.wishes import wish_of, wish_read
from extensions.faces.pipelines.tries import planned_tries
from extensions.faces.vocabulary import CHANGES

HEADS = {
    "avatar.mood": ("neutral", "smiling", "laughing", "sad", "surprised", "angry"),
    "avatar.hair_style": ("short", "long", "curly", "bob", "bald"),
    "avatar.hair_colour": ("black", "brown", "blond", "red", "grey", "blue", "green"),
    "avatar.eyes": ("brown", "blue", "green"),
    "avatar.eyewear": ("none", "glasses", "sunglasses"),
    "avatar.hat": ("none", "cap", "beanie", "top hat", "crown"),
    "avatar.beard": ("none", "mustache", "beard"),
    "avatar.accessory": ("none", "earrings", "scarf", "bow tie"),
    "avatar.clothes": ("red", "green", "blue"),
    "avatar.garment": ("shirt", "suit"),
    "avatar.background": ("blue", "green", "white"),
    "avatar.age": ("adult", "child", "elder"),
    "avatar.lighting": ("day", "warm", "night"),
    "scene.time": ("day", "dusk", "night"),
}


def read(**values: str) -> Read:
    """A judge that is sure of these, by the names without their domain, and of the first value of all others."""
    heads = {}
    for head, names in HEADS.items():
        logits = torch.zeros(len(names))
        logits[names.index(values.get(head.partition(".")[2], names[0]))] = 6
        heads[head] = logits.log_softmax(0)
    return Read(torch.ones(4), heads)


@pytest.mark.parametrize("key", CHANGES)
def test_the_named_changes_are_read_in_their_own_words(key: str) -> None:
    _, words, wish = CHANGES[key]
    assert wish_of(words, HEADS) == f"avatar.{wish}"


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("Make the hair green", "avatar.hair_colour=green"),
        ("change the eye colour to blue", "avatar.eyes=blue"),
        ("replace the top hat with a crown", "avatar.hat=crown"),
        ("take off the sunglasses", "avatar.eyewear=none"),
        ("shave the head", "avatar.hair_style=bald"),
        ("show them at night", "avatar.lighting=night"),
        ("a happy face, please", "avatar.mood=smiling"),
        ("make it green", ""),
        ("add a beard and glasses", ""),
        ("as a knight in armour", ""),
        ("", ""),
    ],
)
def test_a_wish_is_read_in_words_or_left_open(words: str, wish: str) -> None:
    assert wish_of(words, HEADS) == wish


def test_what_the_judge_reads_in_other_languages_is_taken_with_care() -> None:
    assert wish_read("戴上眼镜", {"avatar.eyewear": "glasses"}, HEADS) == "avatar.eyewear=glasses"
    assert wish_read("摘下墨镜", {"avatar.eyewear": "sunglasses"}, HEADS) == "avatar.eyewear=none"
    assert wish_read("把衣服换成蓝色", {"avatar.garment": "shirt"}, HEADS) == ""
    assert wish_read("", {"avatar.hat": "cap", "avatar.beard": "beard"}, HEADS) == ""


@given(st.integers(0, 2**31), st.integers(1, 16), st.integers(1, 4))
def test_tries_begin_mild_and_repeat_no_seed(seed: int, count: int, rungs: int) -> None:
    settings = [{"guidance_scale": float(i)} for i in range(rungs)]
    planned = planned_tries(seed, count, settings)
    assert [one.seed for one in planned] == list(range(seed, seed + count))
    assert planned[0].settings == settings[0]
    assert [one.settings for one in planned][: 2 * rungs : 2] == settings[: (count + 1) // 2]
    without = planned_tries(seed, count, settings, seeded=False)
    assert [one.settings for one in without] == settings[:count]


def test_a_change_that_keeps_all_else_is_the_best_and_ends_the_tries() -> None:
    before, wanted = read(), Wanted("avatar.hat", "crown", 4)
    right, greedy, nothing = read(hat="crown"), read(hat="crown", mood="sad"), read()
    verdicts = [judged(before, one, wanted) for one in (right, greedy, nothing)]
    assert [one.good for one in verdicts] == [True, False, False]
    assert verdicts == sorted(verdicts, reverse=True)
    assert lost_heads(before, greedy, wanted) == ["avatar.mood"]
    # Other domains are none of a face's business.
    assert lost_heads(before, read(time="night"), wanted) == []
    assert not judged(before, right, None).good


def test_captions_differ_by_the_wish_alone() -> None:
    before, after = captions(read(hair_colour="red", eyewear="glasses"), HEADS, Wanted("avatar.mood", "sad", 3))
    assert before == ("a neutral person with short red hair, brown eyes, glasses, wearing a red shirt, blue background")
    assert after == before.replace("neutral", "sad")
    assert captions(read(), HEADS, Wanted("avatar.hair_style", "bald", 4))[1].startswith(
        "a neutral person with no hair"
    )
    assert "brown eyes" not in captions(read(), HEADS, Wanted("avatar.eyewear", "sunglasses", 2))[1]
    assert captions(read(), HEADS, Wanted("avatar.lighting", "night", 2))[1].endswith(", at night")
    assert caption({"weather": "clear"}) == ""
