"""Parameters that a pipeline can be tried with, out of its declaration alone: small, quick, and the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from webui.core.parameters import Parameter, describe
from webui.core.specs import PipelineSpec

_COUNTS = ("count", "batch_size", "batch_count", "frames", "samples")
_SIZE_PX = 64
_STEPS = 2
_SEED = 7


class NoSample(Exception):
    """A parameter without a default that no value can be made up for; its name."""


def sample_picture(path: Path, size: int = _SIZE_PX) -> Path:
    """A picture with edges, colours and an even ground, written to ``path`` as PNG."""
    picture = Image.linear_gradient("L").resize((size, size)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((size // 4, size // 4, size * 3 // 4, size * 3 // 4), fill=(200, 60, 40))
    draw.rectangle((0, size * 3 // 4, size // 3, size - 1), fill=(30, 90, 180))
    picture.save(path, format="PNG")
    return path


def sample_parameters(spec: PipelineSpec, picture: Path) -> dict[str, Any]:
    """Its first example, or defaults, made small. Raises NoSample."""
    example: Mapping[str, Any] = spec.examples[0] if spec.examples else {}
    rows = describe(spec.params)
    names = {row.name for row in rows}
    values = {name: value for name, value in example.items() if name in names}
    for row in rows:
        small = _small(row)
        if small is not None:
            values[row.name] = small
        elif row.required and row.name not in values:
            values[row.name] = _made_up(row, picture)
    return values


def _small(row: Parameter) -> Any:
    """The least that still shows something; None where the default is as good."""
    if row.kind == "seed":
        return _SEED
    if row.kind == "size":
        return _between(row, _SIZE_PX)
    if row.kind == "integer" and row.name in _COUNTS:
        return _between(row, 1)
    if row.kind == "integer" and row.name == "steps":
        return _between(row, _STEPS)
    return None


def _between(row: Parameter, value: int) -> int:
    low = int(row.minimum) if row.minimum is not None else value
    high = int(row.maximum) if row.maximum is not None else value
    return max(low, min(high, value))


def _made_up(row: Parameter, picture: Path) -> Any:
    """A value for a parameter that has none of its own. Raises NoSample."""
    if row.kind in ("image", "image_mask"):
        return str(picture)
    if row.kind == "images":
        return [str(picture)]
    if row.kind in ("text", "prompt"):
        return "a red circle"
    if row.kind in ("integer", "number"):
        return row.minimum if row.minimum is not None else 1
    if row.kind == "choice" and row.options:
        return row.options[0][0]
    if row.kind == "boolean":
        return False
    if row.kind == "colour":
        return "#c83c28"
    raise NoSample(row.name)
