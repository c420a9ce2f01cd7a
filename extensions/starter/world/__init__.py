"""The drawing world: attributes -> captions and pictures, known exactly; the source of every starter model's data.

Light: Pillow, NumPy and the standard library only.
"""

from .attributes import AVATAR_SPEC, SPEC, Avatar, sample_avatar, sample_rich_avatar, visible
from .captions import caption
from .captions_zh import caption_zh
from .draw import draw_avatar, feature_mask, line_drawing
from .edits import Edit, edit
from .subject import LANGUAGES, SHARED, SPECS, Subject, describe, draw, head_name, heads, sample
from .vocabulary import vocabulary_texts
from .wording import Caption

__all__ = [
    "AVATAR_SPEC",
    "LANGUAGES",
    "SHARED",
    "SPEC",
    "SPECS",
    "Avatar",
    "Caption",
    "Edit",
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
    "visible",
    "vocabulary_texts",
]
