"""What a picture says of how it was made: its recipe if it is ours, else what other programs wrote, in our parameters'
names.

Order: our recipe, then EXIF UserComment, then PNG ``parameters``, then texts of programs that use names of their own.
Nothing is evaluated and no damaged or hostile file raises: ``notes`` tell what was met.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from webui.core.recipes import Recipe

from . import infotext
from .chunks import read_chunks
from .encode import RECIPE_KEY
from .pixels import MAX_PIXELS, Unreadable, decode, open_header
from .stealth import hidden_text

MAX_JSON_CHARS = 4_000_000


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
    said = _take_infotext(meta) or meta.recipe is not None or _take_foreign(meta)
    if not said and found.mode == "RGBA" and found.format in ("PNG", "WEBP") and not huge:
        _take_hidden(meta, file, max_pixels)
    if meta.recipe is not None:
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


def _take_infotext(meta: Metadata) -> bool:
    """Use EXIF UserComment, else ``parameters``; whether there was either."""
    for name in ("UserComment", "parameters"):
        if (text := meta.chunks.get(name, "").strip()) and _take_text(meta, text, name):
            return True
    return False


def _take_text(meta: Metadata, text: str, name: str) -> bool:
    if text.startswith("{"):
        found = _load_object(text)
        if found is not None:
            meta.infotext = text
            meta.params = translate(found)
            meta.notes.append(
                f"{name} holds JSON of another program; {len(meta.params)} of its values have a name here"
            )
            return True
    info = infotext.parse(text)
    if name == "UserComment" and len(info.pairs) == 0 and meta.chunks.get("parameters"):
        return False  # a camera's or an editor's comment, not the parameters
    meta.infotext, meta.pairs, meta.params = text, info.pairs, infotext.to_params(info)
    if info.cut:
        meta.notes.append(
            f"its parameters are longer than {infotext.MAX_CHARS:,} letters: only the last of them were read"
        )
    return True


def _take_foreign(meta: Metadata) -> bool:
    """Recognise programs with chunks of their own; whether there was one."""
    chunks = meta.chunks
    if text := chunks.get("invokeai_metadata") or chunks.get("sd-metadata"):
        meta.params = translate(_load_object(text) or {})
        meta.notes.append(f"made by InvokeAI; {len(meta.params)} of its values have a name here")
        return True
    graph = _load_object(chunks.get("prompt", ""))
    if graph is not None or "workflow" in chunks:
        nodes = sorted(
            {
                str(node["class_type"])
                for node in (graph or {}).values()
                if isinstance(node, dict) and "class_type" in node
            }
        )
        listed = f" with the nodes {', '.join(nodes[:12])}" if nodes else ""
        meta.notes.append(f"made by a ComfyUI graph{listed}; a graph is not translated into parameters")
        return True
    for name in ("Comment", "comment"):
        if (found := _load_object(chunks.get(name, ""))) and (params := translate(found)):
            meta.params = params
            meta.notes.append(
                f"its comment holds JSON of another program; {len(params)} of its values have a name here"
            )
            return True
    return False


def _take_hidden(meta: Metadata, file: IO[bytes], max_pixels: int) -> None:
    file.seek(0)
    try:
        text = hidden_text(decode(open_header(file, max_pixels)))
    except Unreadable as error:
        meta.notes.append(f"this picture {error}")
        return
    if text:
        meta.chunks["alpha"] = text
        _take_text(meta, text, "the alpha channel")


def _load_object(text: str) -> dict[str, Any] | None:
    """``text`` as a JSON object, or None."""
    if not text or len(text) > MAX_JSON_CHARS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _as_text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("model_name")
    return value if isinstance(value, str) and value else None


def _as_whole(value: Any) -> int | None:
    if isinstance(value, str):
        return infotext.whole(value.strip())
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64 else None


def _as_real(value: Any) -> float | None:
    if isinstance(value, str):
        return infotext.real(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 else None


_ALIASES: Mapping[str, tuple[str, Any]] = {
    "prompt": ("prompt", _as_text),
    "positiveprompt": ("prompt", _as_text),
    "negativeprompt": ("negative_prompt", _as_text),
    "uc": ("negative_prompt", _as_text),
    "steps": ("steps", _as_whole),
    "seed": ("seed", _as_whole),
    "cfgscale": ("guidance_scale", _as_real),
    "guidancescale": ("guidance_scale", _as_real),
    "scale": ("guidance_scale", _as_real),
    "width": ("width", _as_whole),
    "height": ("height", _as_whole),
    "sampler": ("sampler", _as_text),
    "samplername": ("sampler", _as_text),
    "scheduler": ("schedule", _as_text),
    "schedule": ("schedule", _as_text),
    "model": ("model", _as_text),
    "basemodel": ("model", _as_text),
    "sdmodelname": ("model", _as_text),
    "strength": ("strength", _as_real),
    "denoisingstrength": ("strength", _as_real),
    "clipskip": ("clip_skip", _as_whole),
}
"""Names of values in other programs' JSON, without case and punctuation."""


def translate(found: Mapping[str, Any]) -> dict[str, Any]:
    """Our parameters from another program's JSON object and the objects directly inside it; what does not read as its
    kind is left out.
    """
    params: dict[str, Any] = {}
    for key, value in _two_levels(found):
        name, convert = _ALIASES.get("".join(letter for letter in key.lower() if letter.isalnum()), ("", None))
        if name and name not in params and (converted := convert(value)) is not None:
            params[name] = converted
    return params


def _two_levels(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from found.items()
    for value in found.values():
        if isinstance(value, Mapping):
            yield from value.items()
