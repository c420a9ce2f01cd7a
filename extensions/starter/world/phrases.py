"""Drawing world: what a phrase of an instruction is, and the phrases that all domains share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_SAME: dict[str, str] = {}


@dataclass(frozen=True)
class Phrases:
    """Templates for one attribute; {old} and {new} are the names of its values, {bare} is {old} without its article.

    `add` and `remove` serve changes from and to a value in `absent`; `names` lists values whose name is not the value.
    """

    change: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=lambda: _SAME)
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    absent: tuple[str, ...] = ("none",)

    def name(self, value: str) -> str:
        return self.names.get(value, value)

    def bare(self, value: str) -> str:
        return self.name(value).removeprefix("a ").removeprefix("an ")


STYLE_EN = Phrases(
    ("turn it into {new}", "make it {new}", "change the style to {new}"),
    {
        "flat": "a flat drawing",
        "sketch": "a pencil sketch",
        "watercolour": "a watercolour",
        "pixel": "pixel art",
        "halftone": "a halftone print",
    },
)
STYLE_ZH = Phrases(
    ("变成{new}", "把画面改成{new}", "画成{new}"),
    {"flat": "平涂插画", "sketch": "铅笔素描", "watercolour": "水彩画", "pixel": "像素画", "halftone": "网点漫画"},
)
