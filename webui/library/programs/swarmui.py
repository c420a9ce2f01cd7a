"""SwarmUI: JSON with ``sui_image_params``, under PNG ``parameters`` or in EXIF."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import a1111, names
from .reading import (
    MAX_NETWORKS,
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

_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "prompt": ("prompt", as_prompt),
    "negativeprompt": ("negative_prompt", as_prompt),
    "model": ("model", as_stem),
    "seed": ("seed", as_whole),
    "steps": ("steps", as_whole),
    "cfgscale": ("guidance_scale", as_real),
    "width": ("width", as_whole),
    "height": ("height", as_whole),
    "variationseed": ("variation_seed", as_whole),
    "variationseedstrength": ("variation_strength", as_real),
    "initimagecreativity": ("strength", as_real),
    "vae": ("vae", as_stem),
}
_CONSUMED = ("sampler", "comfyuisampler", "scheduler", "comfyuischeduler", "loras", "loraweights", "automaticvae")
_SILENT = ("images", "aspectratio", "swarm_version", "clipstopatlayer")


def read(chunks: Mapping[str, str]) -> Reading | None:
    for _, text in a1111.texts(chunks):
        found = load_object(text) if text.startswith("{") else None
        if found is not None and isinstance(found.get("sui_image_params"), Mapping):
            return _read(found, text)
    return None


def _read(found: Mapping[str, Any], text: str) -> Reading:
    said = as_object(found["sui_image_params"])
    reading = Reading("SwarmUI", infotext=text)
    take_all(reading, said, _FIELDS)
    if name := as_text(said.get("sampler") or said.get("comfyuisampler")):
        reading.params["sampler"], implied = names.sampler(name)
        reading.params["schedule"] = implied or "Automatic"
    if name := as_text(said.get("scheduler") or said.get("comfyuischeduler")):
        reading.params["schedule"] = names.schedule(name)
    stop = as_whole(said.get("clipstopatlayer"))
    if stop is not None and -12 <= stop < 0:
        reading.params["clip_skip"] = -stop
    loras, weights = _listed(said.get("loras"))[:MAX_NETWORKS], _listed(said.get("loraweights"))
    pairs = [
        (as_stem(name) or "", (as_real(weights[at]) if at < len(weights) else None) or 1.0)
        for at, name in enumerate(loras)
    ]
    reading.add_loras(pairs)
    leave_rest(reading, said, (*_FIELDS, *_CONSUMED, *_SILENT))
    return reading


def _listed(value: Any) -> list[Any]:
    """A list, which older versions wrote as one text with commas."""
    return value.split(",") if isinstance(value, str) and value else as_list(value)
