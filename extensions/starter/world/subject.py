"""The drawing world's one face for all domains: seed -> Subject -> labels, picture, caption."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from PIL import Image

from .attributes import AVATAR_SPEC, Avatar, sample_rich_avatar
from .captions import caption as caption_avatar
from .captions_zh import caption_zh as caption_avatar_zh
from .draw import draw_avatar
from .draw import feature_mask as avatar_mask
from .draw import line_drawing as avatar_lines
from .scene_captions import caption_scene
from .scene_captions_zh import caption_scene_zh
from .scene_draw import draw_scene, scene_line_drawing, scene_mask
from .scenes import SCENE_SPEC, Scene, sample_scene
from .wording import Caption

# Domain -> attribute -> values, in the order in which labels count.
SPECS: dict[str, dict[str, tuple[str, ...]]] = {"avatar": AVATAR_SPEC, "scene": SCENE_SPEC}
LANGUAGES = ("en", "zh")
# Attributes that every domain has: the judge keeps one head for all of them.
SHARED = ("style",)


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
    """The subject of this seed: of this domain, or of the one that the seed tells, avatars and scenes alike often.

    Raises ValueError for an unknown domain.
    """
    if domain not in (None, *SPECS):
        raise ValueError(f"drawing domain: expected one of {', '.join(SPECS)}; got {domain!r}")
    chosen = domain or ("avatar" if random.Random(f"domain:{seed}").random() < 0.5 else "scene")
    return sample_rich_avatar(seed) if chosen == "avatar" else sample_scene(seed)


def draw(subject: Subject, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels. Raises ValueError for a size outside 16..4096."""
    return _domain(subject).draw(subject, size)


def line_drawing(subject: Subject, size: int = 128) -> Image.Image:
    """RGB picture of size x size pixels: dark lines on white, the same for every style."""
    return _domain(subject).lines(subject, size)


def feature_mask(subject: Subject, size: int = 128) -> Image.Image:
    """L picture, 255 where what matters is small: a face's features, a scene's building, animal, sun or moon."""
    return _domain(subject).mask(subject, size)


def describe(subject: Subject, seed: int, full: bool = False, language: str = "en") -> Caption:
    """The caption of this subject under this wording seed; `full` names every visible attribute.

    Raises ValueError for a language that is none of LANGUAGES.
    """
    if language not in LANGUAGES:
        raise ValueError(f"caption language: expected one of {', '.join(LANGUAGES)}; got {language!r}")
    return _domain(subject).captions[language](subject, seed, full)


@dataclass(frozen=True)
class _Domain:
    """What one domain does with its own subjects."""

    kind: type
    draw: Callable[[Any, int], Image.Image]
    lines: Callable[[Any, int], Image.Image]
    mask: Callable[[Any, int], Image.Image]
    captions: dict[str, Callable[[Any, int, bool], Caption]]


_DOMAINS: dict[str, _Domain] = {
    "avatar": _Domain(Avatar, draw_avatar, avatar_lines, avatar_mask, {"en": caption_avatar, "zh": caption_avatar_zh}),
    "scene": _Domain(Scene, draw_scene, scene_line_drawing, scene_mask, {"en": caption_scene, "zh": caption_scene_zh}),
}


def _domain(subject: Subject) -> _Domain:
    for domain in _DOMAINS.values():
        if isinstance(subject, domain.kind):
            return domain
    raise TypeError(f"drawing: expected a subject of {', '.join(SPECS)}; got {type(subject).__name__}")
