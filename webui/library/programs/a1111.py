"""The ``parameters`` text of A1111 and its descendants, under that name or in EXIF; ``infotext`` has its grammar."""

from __future__ import annotations

from collections.abc import Mapping

from webui.library import infotext

from .reading import Reading, load_object

PROGRAM = "A1111"
_SAID_OTHERWISE = frozenset({"Size", "Version", "Model hash", "VAE hash", "Lora hashes", "TI hashes", "Hashes"})


def texts(chunks: Mapping[str, str]) -> list[tuple[str, str]]:
    """(name, text) of the places where a picture may have its parameters: EXIF wins over ``parameters``."""
    return [(name, text) for name in ("UserComment", "parameters", "alpha") if (text := chunks.get(name, "").strip())]


def read(chunks: Mapping[str, str]) -> Reading | None:
    """None for JSON, and for a comment without pairs where there are parameters: a camera or an editor wrote it."""
    for name, text in texts(chunks):
        if text.startswith("{") and load_object(text) is not None:
            continue
        info = infotext.parse(text)
        if name == "UserComment" and not info.pairs and chunks.get("parameters"):
            continue
        return of(info, text)
    return None


def of(info: infotext.Infotext, text: str) -> Reading:
    """The reading of a text that ``infotext`` has parsed."""
    reading = Reading(PROGRAM if info.pairs else "", infotext.to_params(info), text, info.pairs)
    for key, value in info.pairs.items():
        if key not in infotext.FIELDS and key not in _SAID_OTHERWISE:
            reading.leave(key, value)
    if info.cut:
        reading.notes.append(
            f"its parameters are longer than {infotext.MAX_CHARS:,} letters: only the last of them were read"
        )
    return reading
