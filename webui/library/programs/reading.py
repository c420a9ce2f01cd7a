"""What a reader of another program's texts answers with, and how values of unknown make become ours. Nothing here
raises for what it is given, and nothing is evaluated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from webui.library import infotext

MAX_JSON_CHARS = 4_000_000
MAX_NETWORKS = 64
_SHOWN_CHARS = 200
_WEIGHTS = ("safetensors", "ckpt", "pt", "pth", "bin", "gguf", "sft")


@dataclass
class Reading:
    """A picture's texts in our parameters' names, as far as they have one."""

    program: str
    params: dict[str, Any] = field(default_factory=dict)
    infotext: str = ""
    """The ``parameters`` text as it stands in the file, where there is one."""
    pairs: dict[str, str] = field(default_factory=dict)
    """Every ``Key: value`` of such a text."""
    unmapped: dict[str, str] = field(default_factory=dict)
    """What was stated and has no parameter here, shortened, by the program's own name for it."""
    notes: list[str] = field(default_factory=list)

    def take(self, name: str, value: Any) -> bool:
        """Set a parameter, unless there is no value; whether there was."""
        if value is None:
            return False
        self.params[name] = value
        return True

    def leave(self, name: str, value: Any) -> None:
        """Note what has no parameter here; nothing where it says nothing."""
        if value not in (None, "", "None", [], {}):
            self.unmapped[str(name)[:100]] = shown(value)

    def add_loras(self, loras: Iterable[tuple[str, float]]) -> None:
        """Put the first ``MAX_NETWORKS`` networks into the prompt, as our grammar has them, unless it names them."""
        prompt = str(self.params.get("prompt", ""))
        for name, weight in islice(loras, MAX_NETWORKS):
            if name and f"<lora:{name}:" not in prompt:
                prompt = f"{prompt} <lora:{name}:{weight:g}>".strip()
        if prompt:
            self.params["prompt"] = prompt


def shown(value: Any) -> str:
    """``value`` for a person, shortened."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = "..."
    text = infotext.clean_text(text[: _SHOWN_CHARS + 1])
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def load_object(text: str) -> dict[str, Any] | None:
    """``text`` as a JSON object, or None."""
    if not text or len(text) > MAX_JSON_CHARS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def as_object(value: Any) -> Mapping[str, Any]:
    """A JSON object, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """A text, or the name of an object that has one."""
    if isinstance(value, Mapping):
        value = value.get("name") or value.get("model_name")
    return infotext.clean_text(value) if isinstance(value, str) and value else None


def as_prompt(value: Any) -> str | None:
    """A text, empty or not."""
    return infotext.clean_text(value) if isinstance(value, str) else None


def as_whole(value: Any) -> int | None:
    """A whole number of up to 64 bits, also as text; seeds pass 2**53, where reals lose digits."""
    if isinstance(value, str):
        value = infotext.whole(value.strip())
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**64 else None


def as_real(value: Any) -> float | None:
    """A finite number, also as text."""
    if isinstance(value, str):
        value = infotext.real(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 else None


def as_stem(value: Any) -> str | None:
    """A model's name without folders and ending, whichever system's slashes it has."""
    text = as_text(value)
    if not text:
        return None
    name = PurePosixPath(text.replace("\\", "/")).name
    head, dot, ending = name.rpartition(".")
    return (head if dot and ending.lower() in _WEIGHTS else name) or None


def take_all(
    reading: Reading, found: Mapping[str, Any], fields: Mapping[str, tuple[str, Callable[[Any], Any]]]
) -> None:
    """Parameters from a flat object by a table of its keys; the first key of several for one parameter wins."""
    for key, (name, convert) in fields.items():
        if name not in reading.params and key in found:
            reading.take(name, convert(found[key]))


def leave_rest(reading: Reading, found: Mapping[str, Any], known: Iterable[str]) -> None:
    """Note every key of a flat object that is not ``known``."""
    passed = set(known)
    for key, value in found.items():
        if key not in passed:
            reading.leave(str(key), value)
