"""The ``parameters`` text of the A1111 family: written into pictures for other programs, read from pictures they made.

The text is the prompt, then ``Negative prompt: ...``, then one line of ``Key: value`` pairs. The grammar loses much (a
one-letter key, a prompt line that begins like a negative prompt, fewer than three pairs), which is why our own recipe
stands beside it and is read first. Reading is linear in the length of the text, limited to ``MAX_CHARS``, never raises
and evaluates nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webui import __version__
from webui.core.recipes import Recipe

MAX_CHARS = 100_000
"""A longer text is cut to its last so many characters, where the pairs are."""

NEGATIVE = "Negative prompt:"
_MIN_PAIRS = 3

_SUFFIXES = {name.casefold(): name for name in ("Karras", "Exponential", "Polyexponential", "SGM Uniform")}
_LEGACY_SAMPLER = re.compile(rf"(?P<sampler>\S.*?) (?P<schedule>{'|'.join(_SUFFIXES)})", re.IGNORECASE)
"""Before schedules had a key of their own, the sampler's name ended in one: ``DPM++ 2M Karras``."""

_DEFAULTS = {"schedule": "Automatic", "clip_skip": 1, "rng": "GPU"}
"""What an A1111 picture means where its text is silent."""


@dataclass(frozen=True)
class Infotext:
    """A text read: ``pairs`` in their order, each value unquoted; the last of a repeated key wins."""

    prompt: str = ""
    negative_prompt: str = ""
    pairs: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    """Whether the text was longer than the limit."""


def parse(text: str) -> Infotext:
    """Read any text. Its last line is pairs if there are three of them at least; otherwise it is prompt."""
    cut = len(text) > MAX_CHARS
    lines = text[-MAX_CHARS:].strip().split("\n")
    found = scan_pairs(lines[-1])
    if len(found) >= _MIN_PAIRS:
        lines.pop()
    else:
        found = []
    sections: tuple[list[str], list[str]] = ([], [])
    negative = False
    for raw in lines:
        line = raw.strip()
        if line.startswith(NEGATIVE):
            negative, line = True, line[len(NEGATIVE) :].strip()
        sections[negative].append(line)
    prompt, unwanted = ("\n".join(part).strip() for part in sections)
    return Infotext(prompt, unwanted, dict(found), cut)


def scan_pairs(line: str) -> list[tuple[str, str]]:
    """The pairs of one line. Each character is looked at a bounded number of times, whatever the line holds.

    A key is the longest run of word characters, blanks, ``-`` and ``/`` before a colon, from its first word character
    on, two at least. A value is a quoted string that ends at a comma or the line's end, else everything up to the next
    comma.
    """
    found: list[tuple[str, str]] = []
    position = 0
    while (colon := line.find(":", position)) >= 0:
        key = _key_before(line, position, colon)
        if len(key) < 2:
            position = colon + 1
            continue
        value, position = _value_after(line, colon + 1)
        found.append((key.strip(), value))
    return found


def _key_before(line: str, start: int, colon: int) -> str:
    begin = colon
    first_word = colon
    while begin > start:
        letter = line[begin - 1]
        if letter.isalnum() or letter == "_":
            first_word = begin - 1
        elif letter not in " -/":
            break
        begin -= 1
    return line[first_word:colon]


def _value_after(line: str, start: int) -> tuple[str, int]:
    """The value that begins at ``start`` and where the next pair may begin."""
    begin = start
    while begin < len(line) and line[begin].isspace():
        begin += 1
    if line.startswith('"', begin):
        end = _closing_quote(line, begin)
        if end > begin + 1 and (end + 1 == len(line) or line[end + 1] == ","):
            return _unquote(line[begin : end + 1]), end + 2
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return _unquote(line[start:end].strip()), end + 1


def _closing_quote(line: str, opening: int) -> int:
    """-1 where there is none. A scan that fails stops at the quote that opens a later value, so that scans do not
    overlap.
    """
    position = opening + 1
    while position < len(line):
        if line[position] == "\\":
            position += 2
        elif line[position] == '"':
            return position
        else:
            position += 1
    return -1


def quote(value: str) -> str:
    """``value`` as it stands in a pair: quoted as JSON only where the grammar or its readers would change it
    otherwise.
    """
    plain = not any(letter in value for letter in ",:\n\r") and value == value.strip() and not value.startswith('"')
    return value if plain and value.isprintable() else json.dumps(value, ensure_ascii=False)


def _unquote(value: str) -> str:
    if len(value) < 2 or not value.startswith('"') or not value.endswith('"'):
        return value
    try:
        decoded = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return decoded if isinstance(decoded, str) else value


def _number(value: Any) -> str:
    text = str(value)
    return text[:-2] if isinstance(value, float) and text.endswith(".0") else text


_Pairs = dict[str, str]


def from_recipe(
    recipe: Recipe, *, width: int | None = None, height: int | None = None, extra: Mapping[str, Any] | None = None
) -> str:
    """The text for a picture made by ``recipe``, of ``width`` x ``height`` px; ``extra`` pairs are added to the known
    ones or replace them.
    """
    params = recipe.params
    pairs = _known_pairs(recipe, width, height)
    for name, value in (extra or {}).items():
        key = clean_key(name)
        if key and value is not None:
            pairs[key] = _number(value)
    if len(pairs) + 1 < _MIN_PAIRS:
        pairs["Pipeline"] = recipe.pipeline
    pairs["Version"] = f"Lifelike {__version__}"
    return compose(str(params.get("prompt") or ""), str(params.get("negative_prompt") or ""), pairs)


def compose(prompt: str, negative_prompt: str, pairs: Mapping[str, str]) -> str:
    """The text of its three parts. NUL and lone surrogates, which no text chunk can hold, are left out or replaced."""
    lines = [prompt] if prompt else []
    if negative_prompt:
        lines.append(f"{NEGATIVE} {negative_prompt}")
    lines.append(", ".join(f"{key}: {quote(value)}" for key, value in pairs.items()))
    return clean_text("\n".join(lines))


def clean_text(text: str) -> str:
    """``text`` without NUL, and with U+FFFD for each lone surrogate."""
    return text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def clean_key(name: str) -> str:
    """``name`` as a key that the grammar reads back, or nothing where too little of it is left."""
    kept = "".join(letter if letter.isalnum() or letter in "_ -/" else " " for letter in str(name))
    key = " ".join(kept.split()).lstrip("-/ ")
    return key if len(key) >= 2 else ""


def _known_pairs(recipe: Recipe, width: int | None, height: int | None) -> _Pairs:
    params = recipe.params
    seed = recipe.seed if recipe.seed is not None else params.get("seed")
    size = f"{width}x{height}" if width and height else None
    clip_skip = params.get("clip_skip")
    hashes = {use.role: use.sha256[:10] for use in reversed(recipe.models) if use.sha256}
    loras = ", ".join(f"{use.ref}: {use.sha256[:10]}" for use in recipe.models if use.role == "lora" and use.sha256)
    varied = params.get("variation_strength") or None
    larger = params.get("hires_scale")
    hires = isinstance(larger, int | float) and larger > 1
    ordered: list[tuple[str, Any]] = [
        ("Steps", params.get("steps")),
        ("Sampler", params.get("sampler") or None),
        ("Schedule type", params.get("schedule") or None),
        ("CFG scale", params.get("guidance_scale")),
        ("Seed", seed),
        ("Face restoration", params.get("face_restoration") or None),
        ("Size", size),
        ("Model hash", hashes.get("model")),
        ("Model", params.get("model") or None),
        ("VAE hash", hashes.get("vae")),
        ("VAE", params.get("vae") or None),
        ("Variation seed", params.get("variation_seed") if varied else None),
        ("Variation seed strength", varied),
        ("Denoising strength", params.get("strength") if params.get("image") else None),
        ("Clip skip", clip_skip if isinstance(clip_skip, int) and clip_skip > 1 else None),
        ("RNG", params.get("rng") or ("CPU" if params.get("sampler") else None)),
        ("Mask blur", params.get("mask_blur") if params.get("mask") else None),
        ("Masked content", params.get("masked_content") if params.get("mask") else None),
        ("Hires upscale", params.get("hires_scale") if hires else None),
        ("Hires resize", params.get("hires_resize")),
        ("Hires steps", params.get("hires_steps") if hires else None),
        ("Hires upscaler", (params.get("hires_upscaler") or None) if hires else None),
        ("Lora hashes", loras or None),
    ]
    return {key: _number(value) for key, value in ordered if value is not None}


_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_REAL = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?")
_SIZE = re.compile(r"([1-9][0-9]{0,5})\s*[xX]\s*([1-9][0-9]{0,5})")


def whole(value: str) -> int | None:
    """A whole number of up to 20 digits, seeds beyond 2**53 included; None for anything else."""
    return int(value) if _WHOLE.fullmatch(value) else None


def real(value: str) -> float | None:
    """A finite decimal number; None for anything else."""
    return float(value) if _REAL.fullmatch(value) else None


def split_sampler(name: str) -> tuple[str, str]:
    """(sampler, schedule) of a name that may end in a schedule's; the schedule is empty where it does not."""
    match = _LEGACY_SAMPLER.fullmatch(name)
    return (match["sampler"], _SUFFIXES[match["schedule"].casefold()]) if match else (name, "")


def _text(value: str) -> str | None:
    return value or None


FIELDS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "Steps": ("steps", whole),
    "Sampler": ("sampler", _text),
    "Schedule type": ("schedule", _text),
    "CFG scale": ("guidance_scale", real),
    "Seed": ("seed", whole),
    "Face restoration": ("face_restoration", _text),
    "Model": ("model", _text),
    "VAE": ("vae", _text),
    "Variation seed": ("variation_seed", whole),
    "Variation seed strength": ("variation_strength", real),
    "Denoising strength": ("strength", real),
    "Clip skip": ("clip_skip", whole),
    "RNG": ("rng", _text),
    "Mask blur": ("mask_blur", whole),
    "Masked content": ("masked_content", _text),
    "Hires upscale": ("hires_scale", real),
    "Hires resize": ("hires_resize", _text),
    "Hires steps": ("hires_steps", whole),
    "Hires upscaler": ("hires_upscaler", _text),
    "Batch size": ("batch_size", whole),
    "Batch count": ("batch_count", whole),
}
"""Keys that have a parameter of ours, and how their value is read."""


def to_params(info: Infotext) -> dict[str, Any]:
    """Our parameters that ``info`` states or implies. A value that does not read as its kind is left to
    ``info.pairs``, as are unknown keys.
    """
    params: dict[str, Any] = {}
    if info.prompt:
        params["prompt"] = info.prompt
    if not info.pairs:
        return params | ({"negative_prompt": info.negative_prompt} if info.negative_prompt else {})
    params["negative_prompt"] = info.negative_prompt
    for key, value in info.pairs.items():
        name, convert = FIELDS.get(key, ("", _text))
        if name and (converted := convert(value)) is not None:
            params[name] = converted
    if match := _SIZE.fullmatch(info.pairs.get("Size", "")):
        params["width"], params["height"] = int(match[1]), int(match[2])
    sampler, schedule = split_sampler(str(params.get("sampler", "")))
    if schedule and params.get("schedule", "Automatic") in ("Automatic", schedule):
        params["sampler"], params["schedule"] = sampler, schedule
    if "sampler" in params:
        params = _DEFAULTS | params
    if "mask_blur" in params:
        params.setdefault("masked_content", "original")
    return params
