"""What a picture says of how it was made: its recipe if it is ours, else what other programs wrote, in our parameters'
names.

Order: our recipe, then what ``programs`` reads: EXIF UserComment, PNG ``parameters``, texts under names of their own.
Nothing is evaluated and no damaged or hostile file raises: ``notes`` tell what was met.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from webui.core.recipes import Recipe

from . import programs
from .chunks import read_chunks
from .encode import RECIPE_KEY
from .pixels import MAX_PIXELS, Unreadable, decode, open_header
from .stealth import hidden_text


@dataclass
class Metadata:
    """What was read. All of it may be empty; ``notes`` then say why, in words for the user."""

    recipe: Recipe | None = None
    infotext: str = ""
    """The ``parameters`` text as it stands in the file."""
    params: dict[str, Any] = field(default_factory=dict)
    """In our names: the recipe's, or as far as another program's could be translated."""
    pipeline: str = ""
    """The recipe's; empty for pictures of other programs."""
    chunks: dict[str, str] = field(default_factory=dict)
    """Every text of the file by its name, for ``read_metadata`` hooks."""
    notes: list[str] = field(default_factory=list)
    pairs: dict[str, str] = field(default_factory=dict)
    """Every ``Key: value`` of the infotext, those without a parameter of ours included."""
    program: str = ""
    """Who wrote what was read, such as ComfyUI; empty where it cannot be told."""
    unmapped: dict[str, str] = field(default_factory=dict)
    """What another program stated and no parameter of ours stands for, by its own names."""
    format: str = ""
    width: int = 0
    height: int = 0
    whole: bool = True
    """Whether the file reaches its proper end."""


def read(source: Path | str | bytes, max_pixels: int = MAX_PIXELS) -> Metadata:
    """Read a picture's file or its bytes. Pictures of more than ``max_pixels`` are never decoded. Raises nothing for
    what is in the file.

    A file that cannot be opened is told in ``notes`` too.
    """
    try:
        with _opened(source) as file:
            return _read(file, max_pixels)
    except OSError as error:
        return Metadata(notes=[f"the file cannot be read: {error.strerror or error}"], whole=False)


def _opened(source: Path | str | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb")


def _read(file: IO[bytes], max_pixels: int) -> Metadata:
    found = read_chunks(file, max_pixels)
    meta = Metadata(
        chunks=found.texts,
        notes=found.notes,
        format=found.format,
        width=found.width,
        height=found.height,
        whole=found.whole,
    )
    huge = found.width * found.height > max_pixels
    if huge and found.format == "PNG":
        meta.notes.append(
            f"the picture has {found.width} x {found.height} pixels, more than the {max_pixels:,} allowed: "
            "only its texts were read"
        )
    _take_recipe(meta)
    said = _take_foreign(meta)
    if not (said or meta.recipe) and found.mode == "RGBA" and found.format in ("PNG", "WEBP") and not huge:
        _take_hidden(meta, file, max_pixels)
    if meta.recipe is not None:
        meta.program, meta.unmapped = "Lifelike", {}
        meta.pipeline, meta.params = meta.recipe.pipeline, dict(meta.recipe.params)
    return meta


def _take_recipe(meta: Metadata) -> None:
    text = meta.chunks.get(RECIPE_KEY, "")
    if not text:
        return
    try:
        meta.recipe = Recipe.from_json(text)
    except ValidationError as error:
        meta.notes.append(f"its recipe is damaged ({error.error_count()} faults) and was left aside")


def _take_foreign(meta: Metadata) -> bool:
    """What other programs' texts say, ours among them where it is the infotext; whether there was any."""
    reading = programs.read(meta.chunks)
    if reading is None:
        return False
    meta.program, meta.infotext, meta.pairs = reading.program, reading.infotext, reading.pairs
    meta.params, meta.unmapped = reading.params, reading.unmapped
    meta.notes += reading.notes
    return True


def _take_hidden(meta: Metadata, file: IO[bytes], max_pixels: int) -> None:
    file.seek(0)
    try:
        text = hidden_text(decode(open_header(file, max_pixels)))
    except Unreadable as error:
        meta.notes.append(f"this picture {error}")
        return
    if text:
        meta.chunks["alpha"] = text
        _take_foreign(meta)
