"""The exception hierarchy, below every other room.

LifelikeError
├── ParameterError        a request's parameters are wrong; names the fields
├── NotFound              an id that names nothing (job, artifact, pipeline, model)
├── Forbidden             whoever asks has no right to it
├── Conflict              the request does not fit the state of what it names
├── ModelError            a model file cannot be used: broken, unsafe, wrong kind
├── ExtensionError        an extension broke a rule or raised; names it
├── JobFailed             a pipeline cannot go on, with a reason for the user
├── WorkerDied            the worker process ended in mid-job
├── Cancelled             the job was cancelled; not a failure
└── SetupError            the installation or a setting is wrong
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class LifelikeError(Exception):
    """An error with words for the user: ``message`` says what failed, ``hint`` what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


@dataclass(frozen=True)
class FieldError:
    """One wrong parameter: its name, what was expected, and what was met (already shortened for display)."""

    name: str
    message: str
    got: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" + (f" (got {self.got})" if self.got else "")


class ParameterError(LifelikeError):
    """A request's parameters are wrong. ``fields`` is never empty."""

    def __init__(self, fields: Sequence[FieldError], *, hint: str = "") -> None:
        self.fields = tuple(fields)
        super().__init__("; ".join(str(field) for field in self.fields), hint=hint)


class NotFound(LifelikeError):
    """An id that names nothing."""


class Forbidden(LifelikeError):
    """Whoever asks has no right to it."""


class Conflict(LifelikeError):
    """The request does not fit the state of what it names."""


class ModelError(LifelikeError):
    """A model file cannot be used."""


class ExtensionError(LifelikeError):
    """An extension broke a rule or raised."""

    def __init__(self, message: str, *, extension: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.extension = extension


class JobFailed(LifelikeError):
    """A pipeline cannot go on, for a reason its user can understand."""


class WorkerDied(LifelikeError):
    """The worker process ended in mid-job."""


class Cancelled(LifelikeError):
    """The job was cancelled."""

    def __init__(self, message: str = "cancelled") -> None:
        super().__init__(message)


class SetupError(LifelikeError):
    """The installation or a setting is wrong."""
