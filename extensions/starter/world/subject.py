"""The drawing world's one face for all domains: seed -> Subject -> labels, picture, caption."""

from __future__ import annotations

from typing import Protocol, Self

from PIL import Image

from .attributes import AVATAR_SPEC, Avatar, sample_rich_avatar
from .captions import caption as caption_avatar
from .captions_zh import caption_zh as caption_avatar_zh
from .draw import draw_avatar
from .wording import Caption

# Domain -> attribute -> values, in the order in which labels count.
SPECS: dict[str, dict[str, tuple[str, ...]]] = {"avatar": AVATAR_SPEC}
LANGUAGES = ("en", "zh")
# Attributes that every domain has: the judge keeps one head for all of them.
SHARED = ("lighting", "style")


class Subject(Protocol):
    """Something drawable whose attributes are known exactly."""

    @property
    def domain(self) -> str:
        """A key of SPECS."""

    def labels(self) -> dict[str, int]:
        """Attribute -> index into SPECS[domain][attribute], -1 where the picture does not show it."""

    def with_(self, **changes: str) -> Self:
        """The same subject and pose with some attributes changed."""


def heads() -> dict[str, tuple[str, ...]]:
    """Head -> values: "avatar.hat" for an attribute of one domain, "style" for a shared one."""
    return {head_name(d, name): values for d, spec in SPECS.items() for name, values in spec.items()}


def head_name(domain: str, attribute: str) -> str:
    """The judge's head for this attribute of this domain."""
    return attribute if attribute in SHARED else f"{domain}.{attribute}"


def sample(seed: int, domain: str | None = None) -> Subject:
    """The subject of this seed. Raises ValueError for an unknown domain."""
    if domain not in (None, *SPECS):
        raise ValueError(f"drawing domain: expected one of {', '.join(SPECS)}; got {domain!r}")
    return sample_rich_avatar(seed)


def draw(subject: Subject, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels. Raises ValueError for a size outside 16..4096."""
    return draw_avatar(_avatar(subject), size)


def describe(subject: Subject, seed: int, full: bool = False, language: str = "en") -> Caption:
    """The caption of this subject under this wording seed; `full` names every visible attribute.

    Raises ValueError for a language that is none of LANGUAGES.
    """
    if language not in LANGUAGES:
        raise ValueError(f"caption language: expected one of {', '.join(LANGUAGES)}; got {language!r}")
    return (caption_avatar if language == "en" else caption_avatar_zh)(_avatar(subject), seed, full)


def _avatar(subject: Subject) -> Avatar:
    if not isinstance(subject, Avatar):
        raise TypeError(f"drawing: expected a subject of {', '.join(SPECS)}; got {type(subject).__name__}")
    return subject
