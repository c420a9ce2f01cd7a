"""One run of a pipeline: from the class that an extension named to its artifacts in the library, each told of when it
is on disk.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from webui.core.consent import check_consent
from webui.core.errors import ExtensionError, JobFailed, NotFound
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import ArtifactRecord, Job, JobArtifact
from webui.core.parameters import Params
from webui.core.recipes import Recipe
from webui.core.specs import Artifact, PipelineSpec
from webui.core.validating import validate
from webui.plugins.settings import extension_settings

from .context import Emit, JobContext, JobWarnings, Place
from .device import fresh_state
from .hooks import JobHooks, PictureContext
from .nesting import MAX_DEPTH, InnerContext, nowhere, settled
from .results import artifacts_of, checked, is_flat
from .surroundings import Surroundings

log = logging.getLogger(__name__)


def checked_job(around: Surroundings, job: Job) -> tuple[PipelineSpec, Params]:
    """The pipeline and the parameters of a job. Raises NotFound, ParameterError; JobFailed where what it makes must be
    marked and no extension does.
    """
    spec = around.host.pipelines.get(job.pipeline)
    if spec is None:
        raise NotFound(
            f"there is no pipeline {job.pipeline!r}.",
            hint="Its extension is not loaded: `ext list` and the Extensions tab say why.",
        )
    check_consent(spec, job.params)
    if spec.needs_consent and not around.host.implementers("mark_file"):
        raise JobFailed(
            f"{spec.title}: what it makes is kept only with a mark that a machine made it, and no extension marks.",
            hint="Enable the extension provenance.",
        )
    return spec, validate(spec.params, job.params)


class Production:
    """Runs ``job``, whose parameters are ``params``. ``changed_by``: extensions whose ``prepare_job`` changed it.

    ``outer``: the run within which this one is, at its ``place``. ``quota``: of the guest whose job it is; a run within
    it has the same.
    """

    def __init__(
        self,
        around: Surroundings,
        hooks: JobHooks,
        job: Job,
        spec: PipelineSpec,
        params: Params,
        *,
        changed_by: tuple[str, ...],
        emit: Emit,
        warnings: JobWarnings,
        cancelled: threading.Event,
        done_indices: Collection[int] = (),
        quota: Quota = UNBOUNDED,
        outer: Production | None = None,
        place: Place | None = None,
    ) -> None:
        self.spec = spec
        self.records: list[ArtifactRecord] = []
        self.depth: int = outer.depth + 1 if outer is not None else 1
        self._around = around
        self._hooks = hooks
        self._job = job
        self._params = params
        self._changed_by = changed_by
        self._emit = emit
        self._warnings = warnings
        self._cancelled = cancelled
        self._outer = outer
        self._place = place or Place(0)
        self._took_marked = False
        """Whether a run within this one needs consent: what this one makes of it is marked too."""
        self._may_have_earlier = bool(done_indices) or job.attempts > 1
        said: Any = {"warnings": warnings, "cancelled": cancelled, "production": self}
        self.context: JobContext = (
            JobContext(around, job, spec, done_indices=done_indices, emit=emit, quota=quota, **said)
            if outer is None
            else InnerContext(outer.context, self._place, around, job, spec, **said)
        )

    def run(self) -> None:
        """Until the last artifact is saved. Raises whatever goes wrong; what was saved before stays."""
        self.context.check_cancelled()
        result = self._make().run(self._params, self.context)
        try:
            for artifact in artifacts_of(result, self.spec):
                self.context.save(artifact)
                self._check_cancelled()
                if self.context.enough:
                    break
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
            raise self._broken(
                f"has {spec.run!r}, a {type(pipeline).__name__} without a method run,"
                " expected a class with run(params, context)"
            )
        return pipeline

    def _broken(self, what: str) -> ExtensionError:
        return ExtensionError(
            f"extension {self.spec.extension!r}: the pipeline {self.spec.id!r} {what}.",
            extension=self.spec.extension,
            hint="This is a fault of the extension: tell its author.",
        )

    def save(self, given: Artifact) -> ArtifactRecord:
        """Through the hooks into the library."""
        artifact = checked(given, self.spec)
        recipe = self._recipe(artifact)
        said_before = len(self._warnings.messages)
        seen = self._seen(artifact, recipe)
        if artifact.kind == "image":
            image, recipe = self._hooks.process(artifact.data, seen, self._warnings.say)
            artifact = dataclasses.replace(artifact, data=image)
            if is_flat(image):
                self._warnings.say(f"picture {artifact.index + 1}: the picture is one flat colour")
        return self._keep(artifact, dataclasses.replace(seen, recipe=recipe), said_before)

    @property
    def must_mark(self) -> bool:
        """Whether what it saves must be marked: it needs consent itself, or took part of what does."""
        return self.spec.needs_consent or self._took_marked or (self._outer is not None and self._outer.must_mark)

    def _seen(self, artifact: Artifact, recipe: Recipe) -> PictureContext:
        """What hooks are told of an artifact."""
        around = self._around
        return PictureContext(
            self._job,
            recipe,
            artifact.index,
            self.spec,
            self.must_mark,
            around.settings.folders,
            self._warnings.say,
            around.uploads.path,
            functools.partial(extension_settings, around.settings, around.host),
            kind=artifact.kind,
        )

    def _keep(self, artifact: Artifact, seen: PictureContext, said_before: int) -> ArtifactRecord:
        """Into the library; of a run within a run, at its place among the artifacts of the job, with its own recipe."""
        if self._place.take is not None:
            self._place.take(artifact)
            return nowhere(self._job.id, artifact)
        if self._outer is not None:
            index = self._place.index + artifact.index
            moved = dataclasses.replace(artifact, index=index, title=self._place.title or artifact.title)
            self._check_count(artifact.kind)
            record = self._outer._keep(moved, dataclasses.replace(seen, index=index), said_before)
            self._outer.context.note_saved(index)
            self.records.append(record)
            return record

        def mark(path: Path, media_type: str) -> None:
            self._hooks.mark(path, dataclasses.replace(seen, media_type=media_type), self._warnings.say)

        record = self._around.files.save(artifact, self._job, seen.recipe, mark)
        record = record.model_copy(update={"warnings": tuple(self._warnings.messages[said_before:])})
        self.records.append(record)
        self._emit(JobArtifact(job_id=self._job.id, artifact=record))
        self._hooks.observe("artifact_saved", record=record)
        return record

    def _check_count(self, kind: str) -> None:
        """Before a run within the outermost one keeps an artifact. Raises Forbidden beyond a guest's pictures."""
        if self._outer is not None:
            self._outer._check_count(kind)
        elif kind == "image":
            made = {record.index for record in self.records if record.kind == "image"}
            self.context.reach.check_count(len(made | set(self._earlier if self._may_have_earlier else ())))

    def saved(self, index: int) -> Path | None:
        """The file of an artifact of this job, made now or by an earlier attempt."""
        if self._outer is not None:
            return self._outer.saved(self._place.index + index) if index < self._place.count else None
        path = next((record.path for record in reversed(self.records) if record.index == index), "")
        path = path or (self._earlier.get(index, "") if self._may_have_earlier else "")
        found = self._around.files.path(path) if path else None
        return found if found is not None and found.is_file() else None

    @functools.cached_property
    def _earlier(self) -> dict[int, str]:
        return {record.index: record.path for record in self._around.files.find_job(self._job)}

    def run_within(self, pipeline: str, raw: Mapping[str, Any], place: Place) -> tuple[ArtifactRecord, ...]:
        """See ``webui.api.Context.run``."""
        if self.depth >= MAX_DEPTH:
            raise JobFailed(f"{pipeline} would be run at depth {self.depth + 1}, at most {MAX_DEPTH} is possible.")
        if self.context.models.leased:
            raise self._broken("runs another pipeline while it holds a lease, which that one may wait for for ever")
        inner = self._inner(pipeline, raw, place)
        if place.take is None:
            self._check_count(inner.spec.outputs)
        self._took_marked = self._took_marked or inner.spec.needs_consent
        done = False
        try:
            with fresh_state(inner._job.params):
                inner.run()
            done = True
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: it ends this run, not the worker
            fault = settled(error, inner.spec, self._cancelled, self._around)
        finally:
            self._took_marked = self._took_marked or inner._took_marked
            inner.context.close(keep_work=not done)
        if not done:
            raise fault
        return tuple(inner.records)

    def _inner(self, pipeline: str, raw: Mapping[str, Any], place: Place) -> Production:
        """With parameters frozen and changed by the hooks, as any job's. Raises NotFound, ParameterError."""
        named = self._job.model_copy(update={"pipeline": pipeline, "params": dict(raw), "artifacts": ()})
        spec = self._around.host.pipelines.get(pipeline) or checked_job(self._around, named)[0]
        job = named.model_copy(update={"params": self.context.reach.accept(spec, raw)})
        check = functools.partial(checked_job, self._around)
        job, changed_by = self._hooks.prepare(job, check, self._warnings.say)
        spec, params = check(job)
        return Production(
            self._around,
            self._hooks,
            job,
            spec,
            params,
            changed_by=changed_by,
            emit=self._emit,
            warnings=self._warnings,
            cancelled=self._cancelled,
            outer=self,
            place=place,
        )

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
