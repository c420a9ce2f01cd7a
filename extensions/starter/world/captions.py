"""Second station of the drawing world: Avatar -> a natural English caption, with the attributes that it settles."""

from __future__ import annotations

from collections.abc import Iterator

from .attributes import AVATAR_SPEC, Avatar, visible
from .wording import Caption, Options, Words, choose

_NOUNS = ("person", "person", "person", "character", "avatar", "face", "portrait", "human")
_MOODS: Options = {
    "neutral": ("calm", "serious", "neutral"),
    "smiling": ("smiling", "smiling", "happy", "cheerful"),
    "laughing": ("laughing", "laughing", "joyful"),
    "sad": ("sad", "unhappy"),
    "surprised": ("surprised", "amazed", "astonished"),
    "angry": ("angry", "furious", "mad"),
    "winking": ("winking",),
    "sleepy": ("sleepy", "tired"),
}
_HAIR: Options = {
    "short": ("short {c} hair", "{c} short hair", "short hair that is {c}"),
    "long": ("long {c} hair", "{c} long hair", "long hair that is {c}"),
    "curly": ("curly {c} hair", "{c} curly hair", "{c} curls"),
    "bob": ("a {c} bob", "{c} bob hair", "bob hair that is {c}"),
    "pigtails": ("{c} pigtails", "{c} hair in pigtails", "pigtails and {c} hair"),
    "bald": ("no hair", "a bald head"),
}
_HAIR_PLAIN: Options = {
    "short": ("short hair",),
    "long": ("long hair",),
    "curly": ("curly hair", "curls"),
    "bob": ("a bob", "bob hair"),
    "pigtails": ("pigtails",),
    "bald": ("no hair", "a bald head"),
}
_COLOURS: Options = {"blond": ("blond", "blonde"), "grey": ("grey", "gray")}
_EYEWEAR: Options = {
    "none": ("no glasses",),
    "glasses": ("glasses", "glasses", "round glasses", "eyeglasses"),
    "sunglasses": ("sunglasses", "sunglasses", "dark sunglasses", "shades"),
}
_HATS: Options = {
    "none": ("no hat",),
    "cap": ("a cap", "a red cap", "a baseball cap"),
    "beanie": ("a beanie", "a teal beanie", "a wool hat"),
    "top hat": ("a top hat", "a black top hat"),
    "crown": ("a crown", "a golden crown", "a gold crown"),
}
_BEARDS: Options = {
    "none": ("no beard",),
    "mustache": ("a mustache", "a mustache", "a moustache"),
    "beard": ("a beard", "a beard", "a full beard"),
}
_SKINS: Options = {
    "light": ("light", "fair", "pale"),
    "tan": ("tan", "tanned"),
    "brown": ("brown",),
    "dark": ("dark",),
}
_AGES: Options = {"child": ("child", "kid", "young child"), "elder": ("elderly person", "old person", "elder")}
_ACCESSORIES: Options = {
    "earrings": ("earrings", "gold earrings"),
    "scarf": ("a scarf", "a red scarf"),
    "bow tie": ("a bow tie", "a red bow tie"),
    "headphones": ("headphones",),
}
_GARMENTS: Options = {
    "striped sweater": ("striped sweater", "striped jumper"),
    "overalls": ("overalls", "dungarees"),
    "suit": ("suit", "suit with a tie"),
}
_LIGHTS: Options = {
    "warm": ("warm light", "at sunset", "golden light"),
    "night": ("at night", "night sky", "moonlight"),
}
STYLES: Options = {
    "sketch": ("pencil sketch", "line drawing", "sketch"),
    "watercolour": ("watercolour", "watercolor painting", "watercolour painting"),
    "pixel": ("pixel art",),
    "halftone": ("halftone print", "halftone comic print"),
}
_CLOTHES = ("shirt", "shirt", "sweater", "t-shirt", "top", "clothes")
_PLACES = ("{c} background", "{c} background", "on a {c} background", "in front of a {c} wall", "the background is {c}")

_WORN = {"eyewear": _EYEWEAR, "hat": _HATS, "beard": _BEARDS}
_ADDED = {"age": _AGES, "accessory": _ACCESSORIES, "lighting": _LIGHTS, "style": STYLES}
_LOOKS = ("looking", "feeling")


def caption(avatar: Avatar, seed: int, full: bool = False) -> Caption:
    """The English caption of this avatar under this wording seed; `full` names every visible attribute."""
    words = Words(f"caption:{seed}")
    choice = choose(words, avatar, full, _WORN)
    named, parts = choice.named, dict(choice.worn)
    if "mood" in named:
        parts["mood"] = words.one(_MOODS[avatar.mood])
    if "hair_style" in named:
        parts["hair"] = _hair(words, avatar, "hair_colour" in named)
        if avatar.hair_style == "bald" and "hair_colour" in named:
            # A bald person's hair colour shows in the beard alone, so the caption says it there.
            parts["beard"] = f"a {_colour(words, avatar.hair_colour)} {avatar.beard}"
    if "eyes" in named:
        parts["eyes"] = f"{avatar.eyes} eyes"
    if "skin" in named:
        parts["skin"] = f"{words.one(_SKINS[avatar.skin])} skin"
    # What is new has words of its own generator: captions of plain avatars stay as the bundled model read them.
    extra = Words(f"rich caption:{seed}")
    if "clothes" in named or avatar.garment != "shirt":
        cloth = words.one(_CLOTHES) if "clothes" in named else ""
        if avatar.garment != "shirt":
            cloth = extra.one(_GARMENTS[avatar.garment])
        parts["clothes"] = _dressed(cloth, avatar.clothes if "clothes" in named else "")
    if "background" in named:
        place = words.one(_PLACES).format(c=_colour(words, avatar.background))
        parts["background"] = place.replace("a orange", "an orange")
    shown = visible(avatar)
    for name, options in _ADDED.items():
        value = getattr(avatar, name)
        if shown[name] and value in options:
            parts[name] = extra.one(options[value])
    text = _tags(words, parts) if words.chance(0.22) else _sentence(words, parts)
    return Caption(text, choice.settles)


def _colour(words: Words, value: str) -> str:
    return words.one(_COLOURS.get(value, (value,)))


def _dressed(cloth: str, colour: str) -> str:
    item = f"{colour} {cloth}".strip()
    if cloth in ("clothes", "overalls", "dungarees"):
        return item
    return f"{_article(item)} {item}"


def _article(text: str) -> str:
    return "an" if text[0] in "aeiou" else "a"


def _hair(words: Words, avatar: Avatar, with_colour: bool) -> str:
    if avatar.hair_style == "bald":
        return words.one(_HAIR["bald"])
    if with_colour:
        return words.one(_HAIR[avatar.hair_style]).format(c=_colour(words, avatar.hair_colour))
    return words.one(_HAIR_PLAIN[avatar.hair_style])


def _tags(words: Words, parts: dict[str, str]) -> str:
    parts = dict(parts)
    age = parts.pop("age", "")
    items = words.shuffled([p.removeprefix("a ").removeprefix("an ") for p in parts.values()])
    if words.chance(0.5):
        items.insert(0, age or words.one(_NOUNS))
    elif age:
        items.append(age)
    return ", ".join(items) or words.one(_NOUNS)


def _sentence(words: Words, parts: dict[str, str]) -> str:
    noun = words.one(_NOUNS)
    noun = parts.get("age", noun)
    mood = parts.get("mood", "")
    adjective = mood if mood and words.chance(0.85) else ""
    if parts.get("hair") == "a bald head" and words.chance(0.6):
        adjective = f"{adjective} bald".strip()
        parts = {k: v for k, v in parts.items() if k != "hair"}
    head = f"{adjective} {noun}".strip()
    start = f"{_article(head)} {head}" if words.chance(0.85) else head
    has = [parts[k] for k in ("skin", "hair", "eyes", "beard") if k in parts]
    wears = [parts[k] for k in ("hat", "clothes", "accessory") if k in parts]
    if "eyewear" in parts:
        (has if words.chance(0.6) or parts["eyewear"].startswith("no") else wears).append(parts["eyewear"])
    if words.chance(0.5):
        has = words.shuffled(has)
    text = start
    if has:
        text += f" with {_listing(words, has)}"
    if wears:
        comma = "," if has and words.chance(0.6) else ""
        text += f"{comma} {words.one(('wearing', 'wearing', 'in'))} {_listing(words, words.shuffled(wears))}"
    if mood and not adjective.startswith(mood):
        # "smiling" is what a face does, "sad" is how it looks.
        text += f", {mood}" if mood.endswith("ing") else f", {words.one(_LOOKS)} {mood}"
    if "background" in parts:
        place = parts["background"]
        text += f"{'' if place.startswith(('on', 'in')) and words.chance(0.5) else ','} {place}"
    if "lighting" in parts:
        text += f", {parts['lighting']}"
    if "style" in parts:
        style = parts["style"]
        text = f"{style if style.endswith('art') else f'{_article(style)} {style}'} of {text}"
    return text


def _listing(words: Words, items: list[str]) -> str:
    if len(items) == 1:
        return items[0]
    joint = " and " if words.chance(0.8) else ", "
    return ", ".join(items[:-1]) + joint + items[-1]


def vocabulary() -> Iterator[str]:
    """Texts that together hold every word of the English captions."""
    groups: tuple[Options, ...] = (
        _MOODS,
        _HAIR,
        _HAIR_PLAIN,
        _COLOURS,
        _EYEWEAR,
        _HATS,
        _BEARDS,
        _SKINS,
        _AGES,
        _ACCESSORIES,
        _GARMENTS,
        _LIGHTS,
        STYLES,
    )
    for group in groups:
        for options in group.values():
            for text in options:
                yield text.replace("{c}", "")
    for values in AVATAR_SPEC.values():
        yield from values
    yield from _NOUNS
    yield from _CLOTHES
    for text in _PLACES:
        yield text.replace("{c}", "")
    yield "a an the with and wearing in looking feeling eyes skin hair head of his her their that is on front"
    yield "without big"
