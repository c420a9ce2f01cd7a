"""First station of supplied networks: the folders ``models/faces`` -> which .onnx files are there, what is said beside
them, and under which licence each may be used. Light: read by the web process.

Beside ``swap.onnx``: its licence as ``swap.license.txt``, else the folder's ``LICENSE``; and, where the network needs
one, ``swap.json`` with ``{"embedder": "recogniser.onnx", "size": 128, "range": [0, 1], "embedder_range": [-1, 1]}``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webui.api import FieldError, ModelError, ParameterError

Folders = Callable[[str], Sequence[Path]]
_LICENCES = (".license.txt", ".licence.txt", ".license", ".licence", ".license.md")
_FOLDERS_LICENCES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING")
_TEXT_LIMIT_BYTES = 200_000
_SHOWN = 4000
_KNOWN = {
    "inswapper": "InsightFace: for non-commercial research alone",
    "simswap": "SimSwap: for non-commercial use alone",
    "w600k": "InsightFace: for non-commercial research alone",
    "arcface": "InsightFace: for non-commercial research alone",
    "buffalo": "InsightFace: for non-commercial research alone",
    "liveportrait": "LivePortrait: MIT, as its authors published it",
}
"""What is known of published files by their names, as their owners declare it."""
_NONE = "no licence lies beside it"


@dataclass(frozen=True)
class Supplied:
    """A network that a person put there."""

    path: Path
    embedder: Path | None
    """The network that turns the other face into what this one takes for it."""
    about: dict[str, Any]
    licence: str
    """Its text and its embedder's; empty where none lies beside them."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def acceptance(self) -> str:
        """What a person chooses to accept the licence: another text of it is another sentence."""
        return sentence(self.name, self.licence)


def supplied_names(folders: Folders) -> list[str]:
    """The files that can be chosen."""
    return [path.name for path in _files(folders)]


def acceptances(folders: Folders) -> list[str]:
    """The licences that can be accepted."""
    return [_read(path).acceptance for path in _files(folders)]


def accepted(name: str, licence: str, places: Sequence[Path]) -> Supplied:
    """The network of this name, whose licence was accepted. Raises ParameterError that shows the licence; ModelError
    for a file beside it that cannot be read.
    """
    path = next((path for path in _files(lambda _: places) if path.name == name), None)
    if path is None:
        known = ", ".join(supplied_names(lambda _: places)) or "nothing: put the .onnx file into models/faces"
        raise ParameterError([FieldError("network", f"expected one of {known}", name)])
    one = _read(path)
    refuse_unaccepted(one.name, one.licence, licence)
    return one


def _files(folders: Folders) -> list[Path]:
    """Every .onnx file that is no detector, the first of each name."""
    found: dict[str, Path] = {}
    for folder in folders("faces"):
        for path in sorted(folder.glob("*.onnx")) if folder.is_dir() else ():
            if "yunet" not in path.name.lower():
                found.setdefault(path.name, path)
    embedders = {str(_about(path).get("embedder") or "") for path in found.values()}
    return [path for name, path in sorted(found.items()) if name not in embedders]


def sentence(name: str, licence: str) -> str:
    """What a person chooses to accept a text of a licence for what is named so."""
    lines = (line.strip(" #*=-\t") for line in licence.splitlines())
    title = next((line for line in lines if line), _NONE)[:120]
    known = next((words for part, words in _KNOWN.items() if part in name.lower()), "")
    digest = hashlib.sha256(licence.encode("utf-8")).hexdigest()[:8]
    return f"{name}: {known + '; ' if known else ''}{title} ({digest})"


def refuse_unaccepted(name: str, licence: str, chosen: str) -> None:
    """Raises ParameterError that shows the text of a licence which was not chosen."""
    acceptance = sentence(name, licence)
    if chosen.strip() == acceptance:
        return
    raise ParameterError(
        [FieldError("licence", f"accept this network's licence first: choose {acceptance!r}", chosen)],
        hint=licence[:_SHOWN] or "No licence lies beside the file. Look where it came from whether you may use it.",
    )


def _read(path: Path) -> Supplied:
    about = _about(path)
    named = str(about.get("embedder") or "")
    embedder = path.parent / named if named and Path(named).name == named else None
    texts = [licence_of(one) for one in (path, embedder) if one is not None]
    return Supplied(path, embedder, about, "\n\n".join(dict.fromkeys(text for text in texts if text)))


def _about(path: Path) -> dict[str, Any]:
    beside = path.with_suffix(".json")
    if not beside.is_file():
        return {}
    try:
        read = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def licence_of(path: Path) -> str:
    """The text beside a file, else its folder's; empty where none is. Raises ModelError."""
    beside = [path.with_name(path.stem + ending) for ending in _LICENCES]
    for place in (*beside, *(path.parent / name for name in _FOLDERS_LICENCES)):
        try:
            if place.is_file():
                return place.read_bytes()[:_TEXT_LIMIT_BYTES].decode("utf-8", "replace").strip()
        except OSError as error:
            raise ModelError(f"{place.name} cannot be read: {error}") from error
    return ""
