"""JSON of a program that is not known, read by the names that most use; the last resort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import a1111
from .reading import Reading, as_real, as_text, as_whole, load_object

_ALIASES: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "prompt": ("prompt", as_text),
    "positiveprompt": ("prompt", as_text),
    "negativeprompt": ("negative_prompt", as_text),
    "uc": ("negative_prompt", as_text),
    "steps": ("steps", as_whole),
    "seed": ("seed", as_whole),
    "cfgscale": ("guidance_scale", as_real),
    "guidancescale": ("guidance_scale", as_real),
    "scale": ("guidance_scale", as_real),
    "width": ("width", as_whole),
    "height": ("height", as_whole),
    "sampler": ("sampler", as_text),
    "samplername": ("sampler", as_text),
    "scheduler": ("schedule", as_text),
    "schedule": ("schedule", as_text),
    "model": ("model", as_text),
    "basemodel": ("model", as_text),
    "sdmodelname": ("model", as_text),
    "strength": ("strength", as_real),
    "denoisingstrength": ("strength", as_real),
    "clipskip": ("clip_skip", as_whole),
}
"""Without case and punctuation."""


def read(chunks: Mapping[str, str]) -> Reading | None:
    for name, text in a1111.texts(chunks):
        if text.startswith("{") and (found := load_object(text)) is not None:
            reading = translate(found)
            reading.infotext = text
            return _noted(reading, name)
    for name in ("Comment", "comment"):
        found = load_object(chunks.get(name, ""))
        if found and (reading := translate(found)).params:
            return _noted(reading, name)
    return None


def _noted(reading: Reading, name: str) -> Reading:
    count = len(reading.params)
    reading.notes.append(f"{name} holds JSON of another program; {count} of its values have a name here")
    return reading


def translate(found: Mapping[str, Any]) -> Reading:
    """An object and the objects directly inside it; what does not read as its kind is left."""
    reading = Reading("")
    for key, value in _two_levels(found):
        plain = "".join(letter for letter in str(key).lower() if letter.isalnum())
        name, convert = _ALIASES.get(plain, ("", as_text))
        if name and name not in reading.params and reading.take(name, convert(value)):
            continue
        if not isinstance(value, Mapping):
            reading.leave(str(key), value)
    return reading


def _two_levels(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from found.items()
    for value in found.values():
        if isinstance(value, Mapping):
            yield from value.items()
