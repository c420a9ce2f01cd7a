"""InvokeAI: ``invokeai_metadata`` since version 3, ``sd-metadata`` and ``Dream`` before."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from . import names
from .reading import (
    Reading,
    as_list,
    as_object,
    as_prompt,
    as_real,
    as_stem,
    as_text,
    as_whole,
    leave_rest,
    load_object,
    take_all,
)

PROGRAM = "InvokeAI"

_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "positive_prompt": ("prompt", as_prompt),
    "negative_prompt": ("negative_prompt", as_prompt),
    "width": ("width", as_whole),
    "height": ("height", as_whole),
    "seed": ("seed", as_whole),
    "steps": ("steps", as_whole),
    "cfg_scale": ("guidance_scale", as_real),
    "guidance": ("guidance_scale", as_real),
    "model": ("model", as_stem),
    "vae": ("vae", as_stem),
    "strength": ("strength", as_real),
}
_CONSUMED = ("scheduler", "clip_skip", "rand_device", "loras")
_SILENT = ("generation_mode", "app_version", "positive_style_prompt", "negative_style_prompt", "canvas_v2_metadata")

_OLD_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "seed": ("seed", as_whole),
    "steps": ("steps", as_whole),
    "cfg_scale": ("guidance_scale", as_real),
    "width": ("width", as_whole),
    "height": ("height", as_whole),
    "strength": ("strength", as_real),
}
_DREAM: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "-s": ("steps", as_whole),
    "-S": ("seed", as_whole),
    "-W": ("width", as_whole),
    "-H": ("height", as_whole),
    "-C": ("guidance_scale", as_real),
    "-f": ("strength", as_real),
}
_UNWANTED = re.compile(r"\[([^\[\]]*)\]")
"""Before version 3 what the picture should not show stood in brackets in the prompt itself."""
MAX_DREAM_CHARS = 20_000


def read(chunks: Mapping[str, str]) -> Reading | None:
    if "invokeai_metadata" in chunks:
        return _read_new(load_object(chunks["invokeai_metadata"]) or {})
    for name in ("sd-metadata", "Sd-metadata"):
        if name in chunks:
            return _read_old(load_object(chunks[name]) or {})
    return _read_dream(chunks["Dream"]) if "Dream" in chunks else None


def _read_new(found: Mapping[str, Any]) -> Reading:
    reading = Reading(PROGRAM)
    take_all(reading, found, _FIELDS)
    _take_sampler(reading, as_text(found.get("scheduler")))
    skipped = as_whole(found.get("clip_skip"))
    if skipped is not None and 0 <= skipped < 12:
        reading.params["clip_skip"] = skipped + 1  # theirs counts layers left out, ours the one that is used
    if device := as_text(found.get("rand_device")):
        reading.params["rng"] = "CPU" if device == "cpu" else "GPU"
    networks = []
    for row in map(as_object, as_list(found.get("loras"))[:64]):
        weight = as_real(row.get("weight"))
        networks.append((as_stem(row.get("model") or row.get("lora")) or "", 1.0 if weight is None else weight))
    reading.add_loras(networks)
    leave_rest(reading, found, (*_FIELDS, *_CONSUMED, *_SILENT))
    return reading


def _read_old(found: Mapping[str, Any]) -> Reading:
    reading = Reading(PROGRAM)
    image = as_object(found.get("image"))
    _take_prompt(reading, image.get("prompt"))
    take_all(reading, image, _OLD_FIELDS)
    _take_sampler(reading, as_text(image.get("sampler")))
    reading.take("model", as_stem(found.get("model_weights") or found.get("model_id")))
    leave_rest(reading, image, (*_OLD_FIELDS, "prompt", "sampler", "type"))
    return reading


def _take_prompt(reading: Reading, value: Any) -> None:
    """A text, or a list of weighted texts."""
    rows = as_list(value)
    parts = [as_prompt(as_object(row).get("prompt")) or "" for row in rows[:64]] if rows else [as_prompt(value) or ""]
    text = " ".join(part for part in parts if part)
    if len(rows) > 1:
        reading.leave("prompt weights", rows)
    unwanted = [part.strip() for part in _UNWANTED.findall(text) if part.strip()]
    reading.params["prompt"] = _UNWANTED.sub("", text).strip()
    if unwanted:
        reading.params["negative_prompt"] = ", ".join(unwanted)


def _read_dream(text: str) -> Reading:
    """``"prompt" -s 50 -S 1 -W 512 -H 512 -C 7.5 -A k_lms``."""
    reading = Reading(PROGRAM)
    try:
        words = shlex.split(text[:MAX_DREAM_CHARS])
    except ValueError:  # a quotation that is not closed
        words = text[:MAX_DREAM_CHARS].split()
    first = next((at for at, word in enumerate(words) if re.fullmatch(r"-[A-Za-z]\S*", word)), len(words))
    _take_prompt(reading, " ".join(words[:first]))
    options = _options(words[first:])
    take_all(reading, options, _DREAM)
    _take_sampler(reading, options.get("-A"))
    leave_rest(reading, options, (*_DREAM, "-A"))
    return reading


def _options(words: list[str]) -> dict[str, str]:
    """Options with a value each, after a blank (``-s 50``) or at once (``-s50``)."""
    options: dict[str, str] = {}
    name = ""
    for word in words:
        if re.match(r"-[A-Za-z]", word):
            name = word if word.startswith("--") else word[:2]
            options[name] = "" if word.startswith("--") else word[2:]
        elif name and not options[name]:
            options[name] = word
    return options


def _take_sampler(reading: Reading, name: str | None) -> None:
    if name:
        reading.params["sampler"], implied = names.sampler(name)
        reading.params["schedule"] = implied or "Automatic"
