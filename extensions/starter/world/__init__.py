"""The drawing world: attributes -> captions and pictures, known exactly; the source of every starter model's data.

Light: Pillow, NumPy and the standard library only.
"""

from .attributes import AVATAR_SPEC, SPEC, Avatar, sample_avatar, sample_rich_avatar, visible
from .captions import caption
from .captions_zh import caption_zh
from .draw import draw_avatar
from .edits import Edit, edit
from .scenes import SCENE_SPEC, Scene, sample_scene
from .subject import (
    LANGUAGES,
    SHARED,
    SPECS,
    Subject,
    describe,
    draw,
    feature_mask,
    head_name,
    heads,
    line_drawing,
    sample,
)
from .vocabulary import vocabulary_texts
from .wording import Caption

__all__ = [
    "AVATAR_SPEC",
    "LANGUAGES",
    "SCENE_SPEC",
    "SHARED",
    "SPEC",
    "SPECS",
    "Avatar",
    "Caption",
    "Edit",
    "Scene",
    "Subject",
    "caption",
    "caption_zh",
    "describe",
    "draw",
    "draw_avatar",
    "edit",
    "feature_mask",
    "head_name",
    "heads",
    "line_drawing",
    "sample",
    "sample_avatar",
    "sample_rich_avatar",
    "sample_scene",
    "visible",
    "vocabulary_texts",
]
