"""Captions in both languages: they name what they settle, say nothing else, and fit the text encoder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from extensions.starter.world import (
    Avatar,
    caption,
    caption_zh,
    describe,
    sample,
    sample_rich_avatar,
    visible,
    vocabulary_texts,
)

PEOPLE = [sample_rich_avatar(s) for s in range(600)]
BY_LANGUAGE = {"en": caption, "zh": caption_zh}
# Attribute -> value -> what every wording of it holds.
ENGLISH: dict[str, dict[str, str]] = {
    "garment": {"striped sweater": "striped", "overalls": "overalls|dungarees", "suit": "suit"},
    "accessory": {"earrings": "earrings", "scarf": "scarf", "bow tie": "bow tie", "headphones": "headphones"},
    "age": {"child": "child|kid", "elder": r"elder|\bold\b"},
    "style": {"sketch": "sketch|drawing", "watercolour": "watercolou?r", "pixel": "pixel", "halftone": "halftone"},
    "lighting": {"warm": "warm|sunset|golden light", "night": "night|moon"},
    "eyewear": {"glasses": r"\b(eye)?glasses", "sunglasses": "sunglasses|shades"},
    "hat": {"cap": r"\bcap\b", "beanie": "beanie|wool hat", "top hat": "top hat", "crown": "crown"},
}
CHINESE: dict[str, dict[str, str]] = {
    "garment": {"striped sweater": "条纹", "overalls": "背带裤", "suit": "西装|西服"},
    "accessory": {"earrings": "耳环", "scarf": "围巾", "bow tie": "领结", "headphones": "耳机"},
    "age": {"child": "孩|小朋友", "elder": "老|长者"},
    "style": {"sketch": "素描|线稿", "watercolour": "水彩", "pixel": "像素", "halftone": "网点"},
    "lighting": {"warm": "暖|夕阳", "night": "夜|月光"},
    "eyewear": {"glasses": "眼镜", "sunglasses": "墨镜|太阳镜"},
    "hat": {"cap": "棒球帽|鸭舌帽", "beanie": "毛线帽|针织帽", "top hat": "礼帽", "crown": "冠"},
    "clothes": {"red": "红色", "orange": "橙色", "yellow": "黄色", "green": "绿色", "blue": "蓝色", "purple": "紫色"},
    "hair_colour": {
        "black": "黑色",
        "brown": "棕色|褐色",
        "blond": "金",
        "grey": "灰色",
        "pink": "粉",
        "green": "绿色",
    },
    "eyes": {"brown": "棕色|褐色", "blue": "蓝色", "green": "绿色"},
    "hair_style": {"short": "短发", "long": "长发", "curly": "卷发", "bob": "波波头", "pigtails": "双马尾"},
}
EXPECTED = {"en": ENGLISH, "zh": CHINESE}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_settled_is_said_and_what_is_absent_is_not(language: str) -> None:
    for seed, person in enumerate(PEOPLE):
        said = BY_LANGUAGE[language](person, seed)
        assert said == BY_LANGUAGE[language](person, seed)
        assert said.settles <= {n for n, shown in visible(person).items() if shown}
        for name, words in EXPECTED[language].items():
            value = getattr(person, name)
            pattern = words.get(value)
            if name in said.settles and pattern:
                assert re.search(pattern, said.text), (name, value, said.text)
    for seed in range(200):
        bare = BY_LANGUAGE[language](Avatar(pose=seed), seed)
        for name in ("garment", "accessory", "age", "style", "lighting", "hat"):
            assert name in bare.settles
            for pattern in EXPECTED[language][name].values():
                assert not re.search(pattern, bare.text), (name, bare.text)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_full_captions_settle_all_that_shows(language: str) -> None:
    for seed, person in enumerate(PEOPLE[:200]):
        shown = {n for n, yes in visible(person).items() if yes}
        assert BY_LANGUAGE[language](person, seed, full=True).settles == shown


@pytest.mark.parametrize("language", ["en", "zh"])
def test_captions_vary(language: str) -> None:
    assert len({BY_LANGUAGE[language](PEOPLE[0], s).text for s in range(50)}) > 40


def test_chinese_captions_hold_no_english() -> None:
    for seed, person in enumerate(PEOPLE):
        text = caption_zh(person, seed).text
        assert not re.search(r"[A-Za-z{}]", text)
        assert not re.search("的的|，，|、、|，$", text)


@pytest.mark.parametrize(
    "fault", [r"\b(looking|feeling) \w+ing\b", r"\ba [aeio]\w", "a pixel art", r"\ban [^aeiou]", "  ", " ,", r",\s*$"]
)
def test_english_reads_well(fault: str) -> None:
    for seed, person in enumerate(PEOPLE):
        text = caption(person, seed).text
        assert not re.search(fault, text), text


def test_refuses_unknown_languages() -> None:
    with pytest.raises(ValueError, match="expected one of en, zh; got 'de'"):
        describe(sample(1), 1, language="de")


def test_the_vocabulary_holds_every_word() -> None:
    texts = " ".join(vocabulary_texts()).lower()
    words, characters = set(re.findall("[a-z]+", texts)), set(texts)
    for seed, person in enumerate(PEOPLE):
        assert set(re.findall("[a-z]+", caption(person, seed, full=True).text)) <= words
        assert set(caption_zh(person, seed, full=True).text) <= characters


def test_full_captions_fit_the_text_encoder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from extensions.starter.tokens import MAX_LENGTH, load_tokenizer, save_tokenizer

    save_tokenizer(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    for write in BY_LANGUAGE.values():
        longest = max(len(tokenizer(write(p, s, full=True).text)["input_ids"]) for s, p in enumerate(PEOPLE))
        assert longest <= MAX_LENGTH


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_bald_person_s_hair_colour_is_said_of_the_beard(language: str) -> None:
    person = Avatar(hair_style="bald", beard="beard", hair_colour="pink")
    for seed in range(50):
        said = BY_LANGUAGE[language](person, seed)
        if "hair_colour" in said.settles:
            assert "beard" in said.settles
            assert re.search("pink beard|粉红?色(络腮胡|大胡子)", said.text), said.text
