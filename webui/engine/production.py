"""One run of a pipeline: from the class that an extension named to its artifacts in the library, each told of when it
is on disk.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Collection
from typing import Any

from webui.core.errors import ExtensionError
from webui.core.jobs import ArtifactRecord, Job, JobArtifact
from webui.core.parameters import Params
from webui.core.recipes import Recipe
from webui.core.specs import Artifact, PipelineSpec

from .context import Emit, JobContext, JobWarnings, Surroundings
from .hooks import JobHooks, PictureContext
from .results import artifacts_of, checked, is_flat

log = logging.getLogger(__name__)


class Production:
    """Runs ``job``, whose parameters are ``params``. ``changed_by``: extensions whose ``prepare_job`` changed it."""

    def __init__(
        self,
        around: Surroundings,
        hooks: JobHooks,
        job: Job,
        spec: PipelineSpec,
        params: Params,
        *,
        done_indices: Collection[int],
        changed_by: tuple[str, ...],
        emit: Emit,
        warnings: JobWarnings,
        cancelled: threading.Event,
    ) -> None:
        self.spec = spec
        self.records: list[ArtifactRecord] = []
        self._around = around
        self._hooks = hooks
        self._job = job
        self._params = params
        self._changed_by = changed_by
        self._emit = emit
        self._warnings = warnings
        self.context = JobContext(
            around,
            job,
            spec,
            done_indices=done_indices,
            emit=emit,
            warnings=warnings,
            cancelled=cancelled,
            save=self._save,
        )

    def run(self) -> None:
        """Until the last artifact is saved. Raises whatever goes wrong; what was saved before stays."""
        self.context.check_cancelled()
        result = self._make().run(self._params, self.context)
        try:
            for artifact in artifacts_of(result, self.spec):
                self.context.save(artifact)
                self._check_cancelled()
        finally:
            # A generator that is left before its end holds its leases until it is closed.
            close = getattr(result, "close", None)
            if callable(close):
                try:
                    close()
                except Exception:
                    log.warning("the pipeline %s failed while it was closed", self.spec.id, exc_info=True)
        self._check_cancelled()  # a pipeline may have swallowed the exception and returned early

    def _check_cancelled(self) -> None:
        """A cancel that comes when all is made comes too late."""
        if not self.context.complete:
            self.context.check_cancelled()

    def _make(self) -> Any:
        spec = self.spec
        made = self._around.host.load_object(spec.extension, spec.run)
        pipeline = made() if callable(made) else made
        if not callable(getattr(pipeline, "run", None)):
            raise ExtensionError(
                f"extension {spec.extension!r}: {spec.run!r} is a {type(pipeline).__name__} without a method run,"
                " expected a class with run(params, context).",
                extension=spec.extension,
                hint="This is a fault of the extension: tell its author.",
            )
        return pipeline

    def _save(self, given: Artifact) -> ArtifactRecord:
        """Through the hooks into the library."""
        artifact = checked(given, self.spec)
        recipe = self._recipe(artifact)
        said_before = len(self._warnings.messages)
        if artifact.kind == "image":
            seen = PictureContext(self._job, recipe, artifact.index)
            image, recipe = self._hooks.process(artifact.data, seen, self._warnings.say)
            artifact = dataclasses.replace(artifact, data=image)
            if is_flat(image):
                self._warnings.say(f"picture {artifact.index + 1}: the picture is one flat colour")
        record = self._around.files.save(artifact, self._job, recipe)
        record = record.model_copy(update={"warnings": tuple(self._warnings.messages[said_before:])})
        self.records.append(record)
        self._emit(JobArtifact(job_id=self._job.id, artifact=record))
        self._hooks.observe("artifact_saved", record=record)
        return record

    def _recipe(self, artifact: Artifact) -> Recipe:
        """The parameters are those that the pipeline ran with, after ``prepare_job``: they made the picture."""
        versions = self._around.host.versions()
        return Recipe(
            pipeline=self._job.pipeline,
            params={**self._params.model_dump(mode="json"), **artifact.params},
            index=artifact.index,
            seed=artifact.seed,
            models=self.context.uses,
            extensions={name: versions.get(name, "") for name in (self.spec.extension, *self._changed_by)},
            libraries=dict(self._around.libraries),
            device=self._around.device.recipe(),
        )
