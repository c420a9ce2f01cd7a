"""The drawing world: attributes -> captions and pictures, known exactly; the source of every starter model's data.

Light: Pillow and the standard library only.
"""

from .attributes import SPEC, Avatar, sample_avatar, visible
from .captions import caption, vocabulary_texts
from .draw import draw_avatar, feature_mask

__all__ = ["SPEC", "Avatar", "caption", "draw_avatar", "feature_mask", "sample_avatar", "visible", "vocabulary_texts"]
