"""First station of marking: whether a result is to be marked, and what kind of thing it is. Light."""

from __future__ import annotations

from webui.api import ImageContext, describe

_PICTURES = frozenset({"image", "image_mask", "images"})
GENERATED, EDITED, PERSON = "generated", "edited", "person"


def is_wanted(context: ImageContext) -> bool:
    """Whether the settings, or the need for consent, ask for marks."""
    if context.must_mark:
        return True
    when = context.settings.get("when", "off")
    return when == "always" or (when == "chosen" and context.pipeline.id in context.settings.get("pipelines", ()))


def sources_of(context: ImageContext) -> dict[str, str]:
    """Parameter -> reference of each file that the job was given."""
    found: dict[str, str] = {}
    for row in describe(context.pipeline.params):
        value = context.job.params.get(row.name)
        if row.kind in _PICTURES | {"audio", "file"} and value:
            values = value if isinstance(value, list | tuple) else [value]
            found.update({f"{row.name}[{i}]" if len(values) > 1 else row.name: str(v) for i, v in enumerate(values)})
    return found


def origin_of(context: ImageContext) -> str:
    """Generated from nothing, edited from a picture, or a real person's picture edited."""
    if context.must_mark:
        return PERSON
    given = any(context.job.params.get(row.name) for row in describe(context.pipeline.params) if row.kind in _PICTURES)
    return EDITED if given else GENERATED
