"""A postprocessor: warms every picture before it is saved, by as much as its own setting says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from webui.api import ImageContext, Params, SettingsSpec, hookimpl, number


class WarmTonesSettings(Params):
    strength: float = number(0.0, minimum=0, maximum=1, label="Strength", help="0: every picture stays as it is.")


@hookimpl
def register_settings() -> Iterable[SettingsSpec]:
    return [SettingsSpec(id="warm_tones", title="Warm tones", params=WarmTonesSettings)]


@hookimpl
def process_image(image: Any, context: ImageContext) -> Any:
    """Red up, blue down; None, which keeps the picture as it is, where nothing is to be done."""
    strength = context.settings["strength"]
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
