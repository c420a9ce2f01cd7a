"""NovelAI: its Comment is JSON; where the chunks were lost, the same texts lie hidden in the alpha channel as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import names
from .reading import (
    Reading,
    as_object,
    as_prompt,
    as_real,
    as_text,
    as_whole,
    leave_rest,
    load_object,
    take_all,
)

_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "prompt": ("prompt", as_prompt),
    "uc": ("negative_prompt", as_prompt),
    "negative_prompt": ("negative_prompt", as_prompt),
    "steps": ("steps", as_whole),
    "seed": ("seed", as_whole),
    "scale": ("guidance_scale", as_real),
    "width": ("width", as_whole),
    "height": ("height", as_whole),
    "strength": ("strength", as_real),
}
_CONSUMED = ("sampler", "noise_schedule", "v4_prompt", "v4_negative_prompt")
_SILENT = ("n_samples", "request_type", "signed_hash", "version", "legacy", "legacy_v3_extend", "params_version")


def read(chunks: Mapping[str, str]) -> Reading | None:
    said: Mapping[str, Any] = chunks
    if hidden := load_object(chunks.get("alpha", "")):
        said = hidden
    comment = said.get("Comment")
    found = comment if isinstance(comment, Mapping) else load_object(comment if isinstance(comment, str) else "")
    if found is None or not (said.get("Software") == "NovelAI" or {"uc", "request_type"} & found.keys()):
        return None
    return _read(found, as_text(said.get("Source")), as_prompt(said.get("Description")))


def _read(found: Mapping[str, Any], source: str | None, description: str | None) -> Reading:
    reading = Reading("NovelAI")
    take_all(reading, found, _FIELDS)
    for key, target in (("v4_prompt", "prompt"), ("v4_negative_prompt", "negative_prompt")):
        caption = as_object(as_object(found.get(key)).get("caption"))
        if not reading.params.get(target):
            reading.take(target, as_prompt(caption.get("base_caption")))
        reading.leave(f"{key} characters", caption.get("char_captions"))
    if not reading.params.get("prompt"):
        reading.take("prompt", description)
    if name := as_text(found.get("sampler")):
        reading.params["sampler"], implied = names.sampler(name)
        reading.params["schedule"] = implied or "Automatic"
        if schedule := as_text(found.get("noise_schedule")):
            reading.params["schedule"] = names.schedule(schedule)
    reading.leave("Source", source)
    if any(mark in str(reading.params.get("prompt", "")) for mark in ("{", "[", "::")):
        reading.notes.append(
            "braces and brackets in its prompt weigh 1.05 a pair in NovelAI; the prompt was left as it is"
        )
    leave_rest(reading, found, (*_FIELDS, *_CONSUMED, *_SILENT))
    return reading
