"""After training: what was done and measured -> the card beside the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from extensions.gan.params_training import TrainParams
from extensions.gan.recipe import Recipe

_DATA = {"drawn": "the starter's drawing world", "folder": "a folder of pictures", "hub": "a data set of the hub"}


def card(name: str, recipe: Recipe, params: TrainParams, row: Mapping[str, Any], distance: str, pictures: int) -> str:
    """Markdown that says nothing but what the run knows."""
    lines = [f"# {name}", "", f"{recipe.title}, trained here on {_words(params)}: {pictures:,} pictures.", ""]
    lines += [f"- {row['step']:,} steps of {recipe.batch}: {row['step'] * recipe.batch:,} pictures seen."]
    if "distance" in row:
        lines.append(
            f"- {distance} {row['distance']:.3g}, {params.measured:,} generated against the training pictures, not "
            "truncated. More pictures give a smaller number."
        )
    lines += ["", "Recipe:", "", "```json", json.dumps(recipe.model_dump(), indent=1), "```", ""]
    return "\n".join(lines)


def _words(params: TrainParams) -> str:
    words = _DATA[params.data]
    if params.data == "drawn":
        words += f" ({params.domain}, {params.style})"
    return words + (f" {params.dataset}" if params.data == "hub" else "")
