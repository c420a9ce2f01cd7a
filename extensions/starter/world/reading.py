"""Drawing world, backwards: the text of a prompt -> what a picture of it is to show, by the grammars' own phrases.

A caption of the grammars is read as it was meant; of free text, the phrases that it shares with them are.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from . import captions as en
from . import captions_zh as zh
from . import scene_captions as scene_en
from . import scene_captions_zh as scene_zh
from .attributes import AVATAR_SPEC
from .scenes import SCENE_SPEC
from .subject import head_name
from .wording import Options

Values = Mapping[str, str]
"""Attribute -> value."""

# What a drawing is where its caption does not say otherwise (see wording and scene_wording).
_PLAIN: dict[str, Values] = {
    "avatar": {
        **dict.fromkeys(("eyewear", "hat", "beard", "accessory"), "none"),
        "age": "adult",
        "garment": "shirt",
        "lighting": "day",
        "style": "flat",
    },
    "scene": {
        **dict.fromkeys(("building", "trees", "animal", "body", "aloft"), "none"),
        "weather": "clear",
        "time": "day",
        "style": "flat",
    },
}
# A line drawing on paper shows no colours, and of the hours night alone.
_COLOURS = ("skin", "hair_colour", "eyes", "clothes", "background", "building_colour", "season")
_NOUNS = {
    "avatar": ("person", "character", "avatar", "face", "portrait", "human", "man", "woman", "boy", "girl", "child"),
    "scene": ("landscape", "scene", "place", "view"),
}
_NOUNS_ZH = {"avatar": ("人", "角色", "头像", "孩"), "scene": ("风景", "画面", "景色")}


@dataclass(frozen=True)
class Request:
    """What a prompt asks for. ``named``: what it says; ``implied``: what it leaves out and so denies, such as a hat."""

    domain: str
    named: Values = field(default_factory=dict)
    implied: Values = field(default_factory=dict)


def read_prompt(text: str) -> Request | None:
    """What a picture of this prompt shows, in English or Chinese; None where it names nothing of the drawing world.

    Where a prompt names two values of one attribute, the later one counts.
    """
    plain = " ".join(re.sub(r"[-_]", " ", text.casefold()).split()).replace("t shirt", "t-shirt")
    read = {domain: _matches(_lexicon(domain), plain) for domain in _PLAIN}
    weight = {
        domain: sum(end - start for start, end, said in found if set(said) - {"style", "lighting", "time"})
        + _nouns(plain, domain)
        for domain, found in read.items()
    }
    domain = max(weight, key=lambda one: weight[one])
    named: dict[str, str] = {}
    for _, _, said in sorted(read[domain], key=lambda match: match[0]):
        named |= said
    if not weight[domain]:
        return None
    hidden = set(_COLOURS) if named.get("style") == "sketch" else set()
    if hidden and named.get("time") != "night":
        hidden.add("time")
    implied = {name: value for name, value in _PLAIN[domain].items() if name not in named}
    return Request(
        domain,
        {name: value for name, value in named.items() if name not in hidden},
        {name: value for name, value in implied.items() if name not in hidden},
    )


def requested_heads(text: str) -> tuple[Values, Values] | None:
    """``read_prompt``, named and implied, by the heads of the judge."""
    request = read_prompt(text)
    if request is None:
        return None
    named, implied = (
        {head_name(request.domain, name): value for name, value in part.items()}
        for part in (request.named, request.implied)
    )
    return named, implied


def _nouns(text: str, domain: str) -> int:
    words = len(re.findall(rf"\b(?:{'|'.join(_NOUNS[domain])})\b", text))
    return words + sum(text.count(noun) for noun in _NOUNS_ZH[domain])


_Match = tuple[int, int, Values]


def _matches(lexicon: Sequence[tuple[re.Pattern[str], Mapping[str, Values]]], text: str) -> list[_Match]:
    """Where phrases stand, the longest first; no letter belongs to two."""
    found: list[_Match] = []
    taken = [False] * len(text)
    for pattern, phrases in lexicon:
        for match in pattern.finditer(text):
            if not any(taken[match.start() : match.end()]):
                taken[match.start() : match.end()] = [True] * (match.end() - match.start())
                found.append((match.start(), match.end(), phrases[match.group()]))
    return found


@functools.cache
def _lexicon(domain: str) -> tuple[tuple[re.Pattern[str], Mapping[str, Values]], ...]:
    """The phrases of a domain by length, longest first: one pattern a length."""
    phrases: dict[str, Values] = {}
    rows = [*_avatar_en(), *_avatar_zh()] if domain == "avatar" else [*_scene_en(), *_scene_zh()]
    for text, values in rows:
        bare = re.sub("^(a|an|the) ", "", " ".join(text.casefold().replace("-", " ").split()))
        phrases.setdefault(bare.replace("t shirt", "t-shirt"), values)
    lengths: dict[int, list[str]] = {}
    for text in phrases:
        lengths.setdefault(len(text), []).append(text)
    return tuple((_pattern(lengths[length]), phrases) for length in sorted(lengths, reverse=True))


def _pattern(texts: Sequence[str]) -> re.Pattern[str]:
    """Letters of the Latin alphabet must end where the phrase does; Chinese writes no gaps."""
    latin = (rf"(?<![a-z]){re.escape(text)}(?![a-z])" for text in texts if text[0] < "\u3000")
    return re.compile("|".join([*latin, *(re.escape(text) for text in texts if text[0] >= "\u3000")]))


def _each(name: str, options: Options) -> Iterator[tuple[str, Values]]:
    for value, texts in options.items():
        for text in texts:
            yield text, {name: value}


def _english_colours(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(wording, value)."""
    for value in values:
        for text in en._COLOURS.get(value, (value,)):
            yield text, value


def _avatar_en() -> Iterator[tuple[str, Values]]:
    for name, options in {**en._WORN, **en._ADDED, "mood": en._MOODS}.items():
        yield from _each(name, options)
    for thing, name in (("glasses", "eyewear"), ("hat", "hat"), ("beard", "beard")):
        yield f"without {thing}", {name: "none"}
        yield f"without a {thing}", {name: "none"}
    yield from (("bald", {"hair_style": "bald"}), ("hair is down", {}))
    yield from _each("hair_style", en._HAIR_PLAIN)
    for colour, value in _english_colours(AVATAR_SPEC["hair_colour"]):
        for style, texts in en._HAIR.items():
            for text in texts:
                if "{c}" in text:
                    yield text.format(c=colour), {"hair_style": style, "hair_colour": value}
        for text in ("{c} hair", "{c} haired", "hair that is {c}", "{c} head of hair"):
            yield text.format(c=colour), {"hair_colour": value}
        for kind in ("mustache", "beard"):
            yield f"{colour} {kind}", {"hair_colour": value, "beard": kind}
    for value in AVATAR_SPEC["eyes"]:
        yield f"{value} eyes", {"eyes": value}
        yield f"{value} eyed", {"eyes": value}
    for skin, texts in en._SKINS.items():
        for text in texts:
            yield f"{text} skin", {"skin": skin}
            yield f"{text} skinned", {"skin": skin}
    for cloth in en._CLOTHES:
        yield cloth, {"garment": "shirt"}
    yield from _each("garment", en._GARMENTS)
    for colour, value in _english_colours(AVATAR_SPEC["clothes"]):
        for cloth in en._CLOTHES:
            yield f"{colour} {cloth}", {"clothes": value, "garment": "shirt"}
        for garment, texts in en._GARMENTS.items():
            for text in texts:
                yield f"{colour} {text}", {"clothes": value, "garment": garment}
    for colour, value in _english_colours(AVATAR_SPEC["background"]):
        for text in {*en._PLACES, "{c} wall"}:
            yield text.format(c=colour).replace("a orange", "an orange"), {"background": value}


def _avatar_zh() -> Iterator[tuple[str, Values]]:
    for name, options in {**zh._WORN, "accessory": zh._ACCESSORIES}.items():
        for value, texts in options.items():
            for text in texts:
                yield text, {name: value}
                if text[:2] in zh._VERBS:
                    yield text[2:], {name: value}
    for name, options in (("mood", zh._MOODS), ("age", zh._AGES), ("lighting", zh._LIGHTS), ("style", zh.STYLES)):
        yield from _each(name, options)
    for text in zh._BALD:
        yield text, {"hair_style": "bald"}
    for style, texts in zh._HAIR.items():
        for text in texts:
            yield zh._coloured(text, ""), {"hair_style": style}
    for skin, texts in zh._SKINS.items():
        for text in texts:
            yield text, {"skin": skin}
    for cloth in zh._CLOTHES:
        yield cloth, {"garment": "shirt"}
    yield from _each("garment", zh._GARMENTS)
    for value, colours in zh._COLOURS.items():
        for colour in colours:
            yield from _coloured_zh(value, colour)


def _coloured_zh(value: str, colour: str) -> Iterator[tuple[str, Values]]:
    """What of an avatar may have this colour."""
    if value in AVATAR_SPEC["hair_colour"]:
        yield f"{colour}头发", {"hair_colour": value}
        yield f"{colour}的头发", {"hair_colour": value}
        for style, texts in zh._HAIR.items():
            for text in texts:
                yield zh._coloured(text, colour), {"hair_style": style, "hair_colour": value}
        for kind in ("mustache", "beard"):
            for text in zh._BEARDS[kind]:
                yield f"{colour}{text[2:]}", {"hair_colour": value, "beard": kind}
    if value in AVATAR_SPEC["eyes"]:
        yield f"{colour}眼睛", {"eyes": value}
        yield f"{colour}的眼睛", {"eyes": value}
    if value in AVATAR_SPEC["clothes"]:
        for cloth in zh._CLOTHES:
            yield f"{colour}{cloth}", {"clothes": value, "garment": "shirt"}
        for garment, texts in zh._GARMENTS.items():
            for text in texts:
                yield f"{colour}{text}", {"clothes": value, "garment": garment}
    if value in AVATAR_SPEC["background"]:
        for text in zh._PLACES:
            yield zh._coloured(text, colour), {"background": value}


def _scene_en() -> Iterator[tuple[str, Values]]:
    groups = (
        ("kind", scene_en._PLACES),
        ("kind", scene_en._WHERE),
        ("building", scene_en._BUILDINGS),
        ("trees", scene_en._TREES),
        ("animal", scene_en._ANIMALS),
        ("body", scene_en._BODIES),
        ("aloft", scene_en._ALOFT),
        ("weather", scene_en._WEATHER),
        ("time", scene_en._TIMES),
        ("time", scene_en._HOURS),
        ("style", en.STYLES),
    )
    for name, options in groups:
        yield from _each(name, options)
    for value, text in scene_en._WEATHER_ADJECTIVE.items():
        yield text, {"weather": value}
    for value, texts in scene_en._TIMES.items():
        for text in texts:
            yield text.split()[-1], {"time": value}
    for season in SCENE_SPEC["season"]:
        yield season, {"season": season}
    yield "fall", {"season": "autumn"}
    for colour in SCENE_SPEC["building_colour"]:
        for building, texts in scene_en._BUILDINGS.items():
            for text in texts:
                yield f"{colour} {text}", {"building": building, "building_colour": colour}


def _scene_zh() -> Iterator[tuple[str, Values]]:
    groups = (
        ("kind", scene_zh._PLACES),
        ("kind", scene_zh._WHERE),
        ("building", scene_zh._BUILDINGS),
        ("trees", scene_zh._TREES),
        ("animal", scene_zh._ANIMALS),
        ("body", scene_zh._BODIES),
        ("aloft", scene_zh._ALOFT),
        ("weather", scene_zh._WEATHER),
        ("season", scene_zh._SEASONS),
        ("time", scene_zh._TIMES),
        ("style", zh.STYLES),
    )
    for name, options in groups:
        yield from _each(name, options)
    for value, colour in scene_zh._COLOURS.items():
        for building, texts in scene_zh._BUILDINGS.items():
            for text in texts:
                yield f"{colour}{text}", {"building": building, "building_colour": value}
