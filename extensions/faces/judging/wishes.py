"""Words of an instruction -> what a judge should read afterwards: by the names of its heads and values, in English; in
other languages as far as the judge itself reads prompts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from extensions.faces.vocabulary import OTHER_WORDS, REGION_OF

_TAKING = frozenset({"remove", "without", "no", "off", "away", "shave", "lose", "delete", "erase"})
_TAKING_CJK = re.compile("[摘去脱剃没不无]")
_NO_NAMES = frozenset({"colour", "style"})
"""Parts of heads' names that tell nothing: an eye has a colour too."""
_STEM = 4
"""So many first letters make a stem: smile and smiling."""


def wish_of(words: str, heads: Mapping[str, Sequence[str]]) -> str:
    """``head=value`` that an instruction asks for; empty where it names none, several, or what no head tells.

    Of one head's values the last named counts: "replace a by b" asks for b. Of several heads' the one that is named
    beside its value: "make the hair green" is the colour of hair, not of eyes.
    """
    told = re.findall(r"[^\W_]+", words.lower())
    of_faces = {head: values for head, values in heads.items() if head.rpartition(".")[2] in REGION_OF} or heads
    found = {head: one for head, values in of_faces.items() if (one := _last_named(told, values)) is not None}
    if _TAKING & set(told):
        taken = [h for h, values in of_faces.items() if "none" in values and (h in found or _named(told, h))]
        if len(taken) == 1:
            return f"{taken[0]}=none"
    ranks = sorted(((_named(told, head), size, head) for head, (_, size, _) in found.items()), reverse=True)
    if not ranks or (len(ranks) > 1 and ranks[0][:2] == ranks[1][:2]):
        return ""
    head = ranks[0][2]
    return f"{head}={found[head][2]}"


def wish_read(words: str, named: Mapping[str, str], heads: Mapping[str, Sequence[str]]) -> str:
    """``head=value`` where a judge reads one thing in an instruction; ``named``: what it reads in it, as in a prompt.

    Clothes as such are no wish: their colour may be meant.
    """
    if len(named) != 1:
        return ""
    ((head, value),) = named.items()
    if head.rpartition(".")[2] == "garment" and value == heads[head][0]:
        return ""
    if _TAKING_CJK.search(words):
        return f"{head}=none" if "none" in heads[head] else ""
    return f"{head}={value}"


def _last_named(told: Sequence[str], values: Sequence[str]) -> tuple[int, int, str] | None:
    """The value that is said last, in full: where, in how many words, and which."""
    found = []
    for value in values:
        for said in (value, *OTHER_WORDS.get(value, ())):
            parts = said.split()
            places = [_place(told, part) for part in parts]
            if min(places) >= 0:
                found.append((max(places), len(parts), value))
    return max(found, default=None)


def _named(told: Sequence[str], head: str) -> bool:
    name = head.rpartition(".")[2]
    names = (*(part for part in name.split("_") if part not in _NO_NAMES), *OTHER_WORDS.get(name, ()))
    return any(_place(told, word) >= 0 for word in names)


def _place(told: Sequence[str], word: str) -> int:
    """Where a word was last said, in any of its endings; -1: nowhere."""
    for place in range(len(told) - 1, -1, -1):
        if told[place] == word or (min(len(told[place]), len(word)) >= _STEM and _stem(told[place]) == _stem(word)):
            return place
    return -1


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "e", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _STEM - 1:
            return word[: -len(ending)]
    return word
