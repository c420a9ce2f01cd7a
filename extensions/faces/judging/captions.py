"""What a judge reads in a face -> a caption of it, and the caption of the same face after a change: what a model that
draws from descriptions is told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .judge import Read, Wanted, told_values

_NOUNS = {"adult": "person", "child": "child", "elder": "elderly person"}
_WITHOUT_ARTICLE = frozenset({"glasses", "sunglasses", "earrings", "headphones", "overalls"})
_LIGHT = {"warm": "warm light", "night": "at night"}


def captions(read: Read, heads: Mapping[str, Sequence[str]], wanted: Wanted) -> tuple[str, str]:
    """The captions before and after; both empty where this judge's heads are none that a caption has words for."""
    told = _told(read, heads, wanted.head.rpartition(".")[0])
    before = caption(told)
    return before, caption({**told, wanted.head.rpartition(".")[2]: wanted.value}) if before else ""


def mixed_caption(ours: Read, theirs: Read, heads: Mapping[str, Sequence[str]], taken: Collection[str]) -> str:
    """The caption of a face with what is ``taken`` of another; empty where this judge's heads are none that a caption
    has words for.
    """
    domain = next((head.rpartition(".")[0] for head in heads if head.rpartition(".")[2] == "mood"), "")
    other = _told(theirs, heads, domain)
    return caption({**_told(ours, heads, domain), **{name: other[name] for name in taken if name in other}})


def _told(read: Read, heads: Mapping[str, Sequence[str]], domain: str) -> dict[str, str]:
    """Attribute -> value, of the heads of one domain."""
    told = {head.rpartition("."): value for head, value in told_values(read, heads).items()}
    return {name: value for (of, _, name), value in told.items() if of == domain}


def caption(values: Mapping[str, str]) -> str:
    """One sentence; ``values``: attribute -> value. Worn things that are absent are not named. Empty without hair and
    mood, which every face has.
    """
    if not {"mood", "hair_style"} <= values.keys():
        return ""
    noun = _NOUNS.get(values.get("age", ""), "person")
    parts = [f"{_article(values['mood'])} {values['mood']} {noun} with {_hair(values)}"]
    if "eyes" in values and values.get("eyewear") != "sunglasses":
        parts.append(f"{values['eyes']} eyes")
    if "skin" in values:
        parts.append(f"{values['skin']} skin")
    for name in ("eyewear", "hat", "beard", "accessory"):
        if values.get(name, "none") != "none":
            parts.append(_with_article(values[name]))
    if "clothes" in values:
        parts.append("wearing " + _with_article(f"{values['clothes']} {values.get('garment', 'shirt')}"))
    if "background" in values:
        parts.append(f"{values['background']} background")
    if values.get("lighting") in _LIGHT:
        parts.append(_LIGHT[values["lighting"]])
    return ", ".join(parts)


def _hair(values: Mapping[str, str]) -> str:
    style = values["hair_style"]
    if style == "bald":
        return "no hair"
    colour = values.get("hair_colour", "")
    return f"{style} {colour} hair".replace("  ", " ")


def _with_article(words: str) -> str:
    last = words.rpartition(" ")[2]
    return words if last in _WITHOUT_ARTICLE else f"{_article(words)} {words}"


def _article(words: str) -> str:
    return "an" if words[:1] in "aeiou" else "a"
