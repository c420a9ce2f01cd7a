"""What people may do who were let in by the owner of a machine: rules that read declarations alone, held by the web
process when a job is accepted and by the worker when it runs.

A job's ``owner`` is ``OWNER`` where the studio's owner asked for it, else the name of a guest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from .errors import FieldError, Forbidden, ParameterError
from .parameters import describe
from .specs import PipelineSpec

OWNER = "local"
GUESTS_DIR = "guests"
_SAFE_OUTPUTS = frozenset({"image", "video", "audio"})


class Quota(BaseModel):
    """What a guest may ask for. 0: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waiting: int = Field(default=4, ge=0)
    """Jobs that wait or run at once."""
    pictures: int = Field(default=16, ge=0)
    """Of one job."""
    pixels: int = Field(default=1536 * 1536, ge=0)
    """Of one picture."""
    steps: int = Field(default=60, ge=0)
    """Of one picture."""
    minutes: int = Field(default=60, ge=0)
    """Of the machine's time within 24 hours."""


_COUNTS = ("samples", "batch_count", "batch_size")
"""Parameters that say how many pictures a run makes: the first, or the product of the others."""
UNBOUNDED = Quota(waiting=0, pictures=0, pixels=0, steps=0, minutes=0)


@dataclass(frozen=True)
class GuestRules:
    """What holds for the parameters of one guest's job, those of runs within it included."""

    owns: Callable[[str], bool]
    """Whether an artifact, by its id, is this guest's."""
    sent: Callable[[str], bool]
    """Whether this guest sent the file of a reference ``upload:...``."""
    quota: Quota

    def check_raw(self, spec: PipelineSpec, raw: Mapping[str, Any]) -> None:
        """Before any of it is looked up. Raises Forbidden, ParameterError."""
        check_open(spec)
        check_places(spec, raw)
        self._check_named(raw)

    def check_frozen(self, spec: PipelineSpec, values: Mapping[str, Any]) -> None:
        """What a job would run with. Raises ParameterError."""
        check_places(spec, values)
        self._check_named(values)
        check_size(spec, values, self.quota)

    def _check_named(self, values: Mapping[str, Any]) -> None:
        foreign = [
            FieldError(name, "names something that is not yours")
            for name, value in values.items()
            if not all(self.owns(one) for one in artifacts_named(value))
            or not all(self.sent(one) for one in uploads_named(value))
        ]
        if foreign:
            raise ParameterError(foreign)


def is_guest(owner: str) -> bool:
    return owner != OWNER


def folder_of_guest(owner: str) -> str:
    """Where in the library a guest's pictures lie, with a slash at its end; empty for the owner, who sees all."""
    return f"{GUESTS_DIR}/{owner}/" if is_guest(owner) else ""


def guest_of_path(path: str) -> str:
    """Whose a file of the library is, by its path there: a guest's name, or ``OWNER``."""
    first, _, rest = path.partition("/")
    name, slash, _ = rest.partition("/")
    return name if first == GUESTS_DIR and slash else OWNER


def is_open(spec: PipelineSpec) -> bool:
    """Whether guests may run it: as it says itself, else where it makes pictures, films or sounds and needs no folder
    of this machine. What converts, trains or measures makes none, and stays the owner's without saying so.
    """
    if spec.guests is not None:
        return spec.guests
    needs_folder = any(row.kind == "folder" and row.required for row in describe(spec.params))
    return spec.outputs in _SAFE_OUTPUTS and not needs_folder


def check_open(spec: PipelineSpec) -> None:
    """Raises Forbidden."""
    if not is_open(spec):
        raise Forbidden(f"{spec.title} is for the studio's owner alone.", hint="Ask the owner to run it for you.")


def check_places(spec: PipelineSpec, params: Mapping[str, Any]) -> None:
    """Raises ParameterError where a parameter names a folder of this machine."""
    named = [
        FieldError(row.name, "guests cannot name folders of this machine")
        for row in describe(spec.params)
        if row.kind == "folder" and params.get(row.name)
    ]
    if named:
        raise ParameterError(named, hint="Leave it empty, or send the files.")


def check_size(spec: PipelineSpec, values: Mapping[str, Any], quota: Quota) -> None:
    """Raises ParameterError that names each limit. Read from what is declared: parameters of the kind ``size`` are
    sides of the picture, and ``steps``, ``batch_size``, ``batch_count`` and ``samples`` mean in every pipeline what
    their names say.
    """
    rows = describe(spec.params)
    sides = {row.name: int(values[row.name]) for row in rows if row.kind == "size" and values.get(row.name)}
    pixels = min(sides.values(), default=0) ** 2 if len(sides) == 1 else math.prod(list(sides.values())[:2] or [0])
    steps = {row.name: int(values[row.name] or 0) for row in rows if row.kind == "integer" and _is_steps(row.name)}
    counts = {row.name: int(values.get(row.name) or 1) for row in rows if row.name in _COUNTS}
    # Where there are samples, a batch is how many of them are made at a time.
    pictures = counts.get("samples") or math.prod(counts.values())
    wrong = []
    if quota.pixels and pixels > quota.pixels:
        wrong.append(FieldError(next(iter(sides)), f"guests may ask for {quota.pixels:,} pixels", f"{pixels:,}"))
    if quota.steps:
        said = f"guests may ask for {quota.steps} steps"
        wrong += [FieldError(name, said, str(count)) for name, count in steps.items() if count > quota.steps]
    if quota.pictures and pictures > quota.pictures:
        name = min(counts, key=_COUNTS.index)
        wrong.append(FieldError(name, f"guests may ask for {quota.pictures} pictures at once", str(pictures)))
    if wrong:
        raise ParameterError(wrong, hint="The studio's owner can raise a guest's limits.")


def _is_steps(name: str) -> bool:
    return name == "steps" or name.endswith("_steps")


def artifacts_named(value: Any) -> Iterator[str]:
    """The ids of artifacts that parameters refer to, at any depth."""
    return (text[len("artifact:") :] for text in _texts(value) if text.startswith("artifact:"))


def uploads_named(value: Any) -> Iterator[str]:
    """The references of sent files in parameters, at any depth."""
    return (text for text in _texts(value) if text.startswith("upload:"))


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, Mapping):
            waiting += node.values()
        elif isinstance(node, list | tuple):
            waiting += node
