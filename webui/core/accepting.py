"""Between a request and the queue: raw parameters become those that a job runs with, in the web process and for runs
within a run alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from .consent import check_consent
from .errors import ExtensionError, FieldError, LifelikeError, NotFound, ParameterError
from .guests import GuestRules
from .parameters import Parameter
from .specs import PipelineSpec
from .validating import freeze, validate


class FoundModel(Protocol):
    """A model as freezing reads it."""

    @property
    def ref(self) -> str: ...
    @property
    def recommended(self) -> Mapping[str, Any]: ...
    @property
    def usable(self) -> bool: ...


class ModelSource(Protocol):
    """The catalog."""

    def resolve(self, ref: str, kind: str = "") -> FoundModel: ...
    def entries(self, kind: str = "") -> Sequence[FoundModel]: ...


@dataclass(frozen=True)
class Acceptor:
    """Freezes parameters of any pipeline, then lets the pipeline itself look at them (``PipelineSpec.accept``)."""

    pipelines: Mapping[str, PipelineSpec]
    models: ModelSource
    intern: Callable[[Parameter, str], str]
    """Stores the bytes of a file parameter and returns their lasting reference. Raises ParameterError."""
    settings_of: Callable[[str], Mapping[str, Any]]
    """The settings of an extension."""
    open_folder: Callable[[str, str], Path]
    """The folder that a request names, and the field in which it does. Raises ParameterError."""
    rules: GuestRules | None = None
    """Where a guest asks."""

    def __call__(self, spec: PipelineSpec, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ParameterError, Forbidden; ExtensionError where ``spec.accept`` breaks."""
        if self.rules is not None:
            self.rules.check_raw(spec, raw)
        values = self._accepted(spec, raw)
        if self.rules is not None:
            self.rules.check_frozen(spec, values)
        return values

    def _accepted(self, spec: PipelineSpec, raw: Mapping[str, Any]) -> dict[str, Any]:
        values = freeze(spec.params, raw, choose_model=self._choose_model, intern=self.intern)
        check_consent(spec, values)
        if spec.accept is None:
            return values
        try:
            accepted = dict(spec.accept(validate(spec.params, values), _Acceptance(self, spec.extension)))
        except LifelikeError:
            raise
        except Exception as error:
            raise ExtensionError(
                f"extension {spec.extension!r} could not look at the parameters: {type(error).__name__}: {error}",
                extension=spec.extension,
                hint="This is a fault of the extension: tell its author.",
            ) from error
        return validate(spec.params, accepted).model_dump(mode="json")

    def _choose_model(self, row: Parameter, ref: str) -> tuple[str, Mapping[str, Any]]:
        try:
            entry = self.models.resolve(ref, row.source)
        except LifelikeError as error:
            raise ParameterError([FieldError(row.name, error.message, repr(ref))], hint=error.hint) from None
        if self.rules is not None and all(entry.ref != known.ref for known in self.models.entries(row.source)):
            raise ParameterError([FieldError(row.name, "guests choose among the models of the list", repr(ref)[:80])])
        return entry.ref, entry.recommended


@dataclass(frozen=True)
class _Acceptance:
    """``webui.api.Acceptance``."""

    _acceptor: Acceptor
    _extension: str

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        return self._acceptor.pipelines

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._acceptor.settings_of(self._extension)

    def freeze(self, pipeline: str, raw: Mapping[str, Any]) -> dict[str, Any]:
        spec = self._acceptor.pipelines.get(pipeline)
        if spec is None:
            raise NotFound(f"there is no pipeline {pipeline!r}.")
        return self._acceptor(spec, raw)

    def models(self, kind: str) -> list[str]:
        return [entry.ref for entry in self._acceptor.models.entries(kind) if entry.usable]

    def open_folder(self, path: str, field: str) -> Path:
        if self._acceptor.rules is not None:
            raise ParameterError([FieldError(field, "guests cannot name folders of this machine")])
        return self._acceptor.open_folder(path, field)
