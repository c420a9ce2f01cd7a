"""Where directions and projections are kept under the names that people give: small safetensors in the user's folders.

Names and counts are read from headers, so that forms list them without torch.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extensions.gan.recognise import metadata
from webui.api import FieldError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

DIRECTIONS, PROJECTIONS = "gan_directions", "gan_projections"
_NAME = re.compile(r"[\w][\w -]{0,63}")
_ABOUT = "lifelike.about"

Folders = Callable[[str], Sequence[Path]]


def checked_name(name: str, field: str = "name") -> str:
    """A name that is one file's and no path. Raises ParameterError."""
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise ParameterError(
            [FieldError(field, "expected a name of letters, digits, spaces, - and _", repr(name[:80]))]
        )
    return name


def names(folders: Folders, shelf: str) -> list[str]:
    """All names on a shelf."""
    found = {
        path.stem for folder in folders(shelf) for path in folder.glob("*.safetensors") if _NAME.fullmatch(path.stem)
    }
    return sorted(found)


def direction_names(folders: Folders) -> list[str]:
    """Each direction of each file: ``name``, or ``name 1``, ``name 2`` of several."""
    found = []
    for name in names(folders, DIRECTIONS):
        count = about(folders, DIRECTIONS, name).get("count", 1)
        found += [name] if count == 1 else [f"{name} {place + 1}" for place in range(min(int(count), 100))]
    return found


def projection_names(folders: Folders) -> list[str]:
    return names(folders, PROJECTIONS)


def place(folders: Folders, shelf: str, name: str) -> Path | None:
    """The file of ``name``; None where there is none."""
    if not _NAME.fullmatch(name):
        return None
    return next((path for folder in folders(shelf) if (path := folder / f"{name}.safetensors").is_file()), None)


def about(folders: Folders, shelf: str, name: str) -> dict[str, Any]:
    """What a file says of itself; empty where it says nothing."""
    path = place(folders, shelf, name)
    try:
        found = json.loads(metadata(path).get(_ABOUT, "{}")) if path is not None else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def put(folders: Folders, shelf: str, name: str, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> Path:
    """Write a file, all or nothing. Raises ParameterError where the name is taken, OSError."""
    from safetensors.torch import save_file

    name = checked_name(name)
    if place(folders, shelf, name) is not None:
        raise ParameterError([FieldError("name", "this name is taken: choose another", repr(name))])
    path = folders(shelf)[0] / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(
            {key: value.detach().cpu().contiguous() for key, value in tensors.items()},
            temporary,
            {_ABOUT: json.dumps(said)},
        )
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def take(folders: Folders, shelf: str, name: str, field: str) -> dict[str, Tensor]:
    """The tensors of a file. Raises ParameterError where there is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = place(folders, shelf, name)
    try:
        if path is not None:
            return load_file(path)
    except (OSError, SafetensorError):
        pass
    raise ParameterError([FieldError(field, "nothing that can be read is kept under this name", repr(name[:80]))])


def direction(folders: Folders, name: str, field: str) -> tuple[Tensor, float]:
    """The unit vector [D] of one direction as ``direction_names`` calls it, and its scale. Raises ParameterError."""
    whole, _, number = name.rpartition(" ")
    if place(folders, DIRECTIONS, name) is not None or not number.isdecimal():
        whole, index = name, 0
    else:
        index = int(number) - 1
    tensors = take(folders, DIRECTIONS, whole, field)
    vectors, scales = tensors.get("vectors"), tensors.get("scales")
    if vectors is None or scales is None or vectors.ndim != 2 or not 0 <= index < len(vectors):
        raise ParameterError([FieldError(field, "nothing that can be read is kept under this name", repr(name[:80]))])
    return vectors[index].float(), float(scales[index])
