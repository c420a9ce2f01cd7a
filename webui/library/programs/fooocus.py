"""Fooocus: its JSON scheme, or its A1111 scheme, told by ``fooocus_scheme``, by EXIF, or by the version in the text.

The prompt is the one that was typed; the styles that Fooocus added to it are named in ``unmapped``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from webui.library import infotext

from . import a1111, names
from .reading import (
    Reading,
    as_list,
    as_prompt,
    as_real,
    as_stem,
    as_text,
    as_whole,
    leave_rest,
    load_object,
    take_all,
)

PROGRAM = "Fooocus"
MAX_LORAS = 64

_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "prompt": ("prompt", as_prompt),
    "negative_prompt": ("negative_prompt", as_prompt),
    "base_model": ("model", as_stem),
    "steps": ("steps", as_whole),
    "guidance_scale": ("guidance_scale", as_real),
    "seed": ("seed", as_whole),
    "clip_skip": ("clip_skip", as_whole),
}
_CONSUMED = ("resolution", "sampler", "scheduler", "vae", "loras")
_SILENT = ("metadata_scheme", "version", "created_by", "full_prompt", "full_negative_prompt", "base_model_hash")
_SIZE = re.compile(r"\(\s*'?(\d{1,6})'?\s*,\s*'?(\d{1,6})'?\s*\)", re.ASCII)
_NETWORK = re.compile(r"(?P<name>[^:]{1,300}?)\s*:\s*(?:[0-9a-f]*\s*:\s*)?(?P<weight>-?[0-9.]{1,20})")


def read(chunks: Mapping[str, str]) -> Reading | None:
    scheme = chunks.get("fooocus_scheme") or chunks.get("MakerNote", "").strip("\0 ")
    signed = scheme in ("fooocus", "a1111") or chunks.get("Software", "").startswith("Fooocus")
    for _, text in a1111.texts(chunks):
        if text.startswith("{"):
            found = load_object(text)
            if found is not None and (scheme == "fooocus" or {"metadata_scheme", "adm_guidance"} & found.keys()):
                return _read_json(found, text)
        else:
            info = infotext.parse(text)
            if info.pairs and (signed or info.pairs.get("Version", "").startswith("Fooocus")):
                return _read_text(info, text)
    return None


def _read_json(found: Mapping[str, Any], text: str) -> Reading:
    reading = Reading(PROGRAM, infotext=text)
    take_all(reading, found, _FIELDS)
    if match := _SIZE.fullmatch(str(found.get("resolution", "")).strip()[:100]):
        reading.params["width"], reading.params["height"] = int(match[1]), int(match[2])
    _take_sampling(reading, as_text(found.get("sampler")), as_text(found.get("scheduler")))
    vae = as_stem(found.get("vae"))
    if vae and not vae.startswith("Default"):
        reading.params["vae"] = vae
    reading.add_loras(_networks_of(found))
    known = (*_FIELDS, *_CONSUMED, *_SILENT, *(key for key in found if str(key).startswith("lora_combined_")))
    leave_rest(reading, found, known)
    return reading


def _take_sampling(reading: Reading, sampler: str | None, schedule: str | None) -> None:
    if sampler:
        reading.params["sampler"], implied = names.sampler(sampler)
        reading.params["schedule"] = implied or "Automatic"
    if schedule:
        reading.params["schedule"] = names.schedule(schedule)


def _networks_of(found: Mapping[str, Any]) -> list[tuple[str, float]]:
    """From ``loras`` as lists of name, weight and hash; older pictures have ``lora_combined_1: "name : weight"``."""
    networks = []
    for row in as_list(found.get("loras"))[:MAX_LORAS]:
        if isinstance(row, list) and len(row) >= 2 and (weight := as_real(row[1])) is not None:
            networks.append((as_stem(row[0]) or "", weight))
    if networks:
        return networks
    for number in range(1, MAX_LORAS):
        if match := _NETWORK.fullmatch(str(found.get(f"lora_combined_{number}", ""))[:400].strip()):
            networks.append((as_stem(match["name"].strip()) or "", as_real(match["weight"]) or 0.0))
    return networks


def _read_text(info: infotext.Infotext, text: str) -> Reading:
    reading = a1111.of(info, text)
    reading.program = PROGRAM
    pairs = info.pairs
    for key, name in (("Raw prompt", "prompt"), ("Raw negative prompt", "negative_prompt")):
        if key in pairs:
            reading.params[name] = pairs[key]
        reading.unmapped.pop(key, None)
    if schedule := pairs.get("Scheduler"):
        reading.params["schedule"] = names.schedule(schedule)
        reading.unmapped.pop("Scheduler", None)
    if pairs.get("VAE", "").startswith("Default"):
        reading.params.pop("vae", None)
    weights = pairs.get("Lora weights", "")
    matches = [_NETWORK.fullmatch(part.strip()[:400]) for part in weights.split(", ")[:MAX_LORAS]]
    reading.add_loras((match["name"], as_real(match["weight"]) or 0.0) for match in matches if match)
    reading.unmapped.pop("Lora weights", None)
    return reading
