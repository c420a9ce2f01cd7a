"""Where the parameters of a declaration stand in its form: which share a widget, and which come above the button."""

from __future__ import annotations

from collections.abc import Sequence

from webui.core.parameters import FILE_KINDS, Parameter


def slug(pipeline: str) -> str:
    """A pipeline's id as part of an ``elem_id``."""
    return pipeline.replace(".", "-").replace("_", "-")


def arrange(rows: Sequence[Parameter]) -> list[tuple[Parameter, ...]]:
    """The rows of each widget, in the order declared: width and height share one, and so do an image and its mask."""
    by_name = {row.name: row for row in rows}
    joined = {
        row.extra["mask"]: row.name for row in rows if row.kind == "image_mask" and row.extra.get("mask") in by_name
    }
    if all(name in by_name and by_name[name].kind == "size" for name in ("width", "height")):
        joined["height"] = "width"
    partners = {owner: name for name, owner in joined.items()}
    return [
        (row, by_name[partners[row.name]]) if row.name in partners else (row,) for row in rows if row.name not in joined
    ]


def stands_first(row: Parameter) -> bool:
    """Whether a parameter stands above the button: what to make, and from what."""
    if row.advanced or row.group:
        return False
    if row.kind == "parameters" or row.source.startswith("pipelines"):
        return True
    return (
        row.kind in FILE_KINDS
        or row.name in ("prompt", "negative_prompt")
        or (row.required and row.kind in ("text", "folder"))
    )
