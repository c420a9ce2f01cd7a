"""A postprocessor: warms every picture before it is saved, by as much as a variable says."""

from __future__ import annotations

import os
from typing import Any

from webui.api import ImageContext, hookimpl

STRENGTH = "LIFELIKE_WARM_TONES"
"""The variable, 0 to 1; where it is not set, every picture stays as it is."""


@hookimpl
def process_image(image: Any, context: ImageContext) -> Any:
    """Red up, blue down; None, which keeps the picture as it is, where nothing is to be done."""
    strength = float(os.environ.get(STRENGTH, "0") or 0)
    if not strength or image.mode not in ("RGB", "RGBA"):
        return None
    red, green, blue, *alpha = image.split()
    warmed = [
        red.point(lambda value: min(255, round(value * (1 + 0.2 * strength)))),
        green,
        blue.point(lambda value: round(value * (1 - 0.2 * strength))),
    ]
    from PIL import Image

    return Image.merge(image.mode, [*warmed, *alpha])
