"""Between the runner and the extensions' job hooks: one at a time, each result judged, and who keeps failing is left
out.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL.Image import Image

from webui.core.errors import ExtensionError, JobFailed, LifelikeError
from webui.core.jobs import Job
from webui.core.recipes import Recipe
from webui.core.specs import ArtifactKind, PipelineSpec

if TYPE_CHECKING:
    from webui.plugins.host import ExtensionHost, HookResult

FAILURES_TO_SUSPEND = 3

Warn = Callable[[str, str], None]
"""(message, extension): tell the user."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureContext:
    """``webui.api.FileContext``."""

    job: Job
    recipe: Recipe
    index: int
    pipeline: PipelineSpec
    must_mark: bool
    folders: Callable[[str], Sequence[Path]]
    warn: Callable[[str], None]
    open_file: Callable[[str], Path]
    settings_of: Callable[[str], Mapping[str, Any]]
    """Raises SetupError where an extension's settings are wrong."""
    extension: str = ""
    """Whose hook is called."""
    kind: ArtifactKind = "image"
    media_type: str = ""

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.settings_of(self.extension)


class JobHooks:
    """Calls ``prepare_job``, ``process_image``, ``mark_file`` and the observers for a worker's jobs.

    A hook that fails three times in a row is suspended until the worker is started again; each job without it says so.
    """

    def __init__(self, host: ExtensionHost) -> None:
        self._host = host
        self._failures: Counter[tuple[str, str]] = Counter()

    def prepare(self, job: Job, check: Callable[[Job], Any], warn: Warn) -> tuple[Job, tuple[str, ...]]:
        """The job to run in place of ``job``, and the extensions that changed it; each sees what the one before it
        made.

        ``check`` raises LifelikeError for a job that cannot be run. Raises ExtensionError that names who failed.
        """
        changed: list[str] = []
        for extension in self._active("prepare_job", warn):
            result = self._call(extension, "prepare_job", warn, job=job)
            if result.error is not None:
                raise ExtensionError(
                    f"extension {extension!r} could not prepare the job: {_said(result.error)}",
                    extension=extension,
                    hint=f"Disable it to run without: --disable-ext {extension}",
                ) from result.error
            if result.value is not None and result.value != job:
                job = self._prepared(extension, job, result.value, check)
                changed.append(extension)
        return job, tuple(changed)

    @staticmethod
    def _prepared(extension: str, job: Job, given: Any, check: Callable[[Job], Any]) -> Job:
        if not isinstance(given, Job) or given.id != job.id:
            met = f"a job with the id {given.id}" if isinstance(given, Job) else f"a {type(given).__name__}"
            raise ExtensionError(
                f"extension {extension!r}: prepare_job answered {met}, expected the same job, changed, or None.",
                extension=extension,
                hint="job.model_copy(update={...}) makes a changed one.",
            )
        try:
            check(given)
        except LifelikeError as error:
            raise ExtensionError(
                f"extension {extension!r} changed the job to one that cannot be run: {error}", extension=extension
            ) from error
        return given

    def process(self, image: Image, context: PictureContext, warn: Warn) -> tuple[Image, Recipe]:
        """``image`` after every extension's ``process_image``, and its recipe with the versions of those that changed
        it.
        """
        versions = self._host.versions()
        recipe = context.recipe
        for extension in self._active("process_image", warn):
            # Each gets a copy: what one changes in place before it fails must not reach the picture.
            given = replace(context, recipe=recipe, extension=extension)
            result = self._call(extension, "process_image", warn, image=image.copy(), context=given)
            if result.error is not None:
                warn(f"extension {extension!r} failed on the picture, which is kept: {_said(result.error)}", extension)
            elif isinstance(result.value, Image):
                image = result.value
                named = {**recipe.extensions, extension: versions.get(extension, "")}
                recipe = recipe.model_copy(update={"extensions": named})
            elif result.value is not None:
                met = type(result.value).__name__
                warn(
                    f"extension {extension!r}: process_image answered a {met}, expected a PIL image or None", extension
                )
        return image, recipe

    def mark(self, path: Path, context: PictureContext, warn: Warn) -> None:
        """Let every extension mark the file at ``path``, in place. Raises JobFailed where it must be marked and one
        could not, or none did.
        """
        marked, target = False, path.with_name(f"{path.name}-marked")
        for extension in self._active("mark_file", warn):
            given = replace(context, extension=extension)
            try:
                result = self._call(extension, "mark_file", warn, source=path, target=target, context=given)
                if result.error is not None and context.must_mark:
                    raise _unmarked(context, f"{extension} could not: {_said(result.error)}") from result.error
                if result.error is not None:
                    kept = f"extension {extension!r} could not mark the file, which is kept: {_said(result.error)}"
                    warn(kept, extension)
                elif result.value and target.is_file():
                    os.replace(target, path)
                    marked = True
            finally:
                target.unlink(missing_ok=True)
        if context.must_mark and not marked:
            raise _unmarked(context, "no extension did")

    def observe(self, hook: str, **arguments: Any) -> None:
        """``artifact_saved`` or ``job_finished`` of every extension; errors are logged."""
        for extension in self._active(hook, _quiet):
            result = self._call(extension, hook, _quiet, **arguments)
            if result.error is not None:
                log.warning("extension %s: %s raised", extension, hook, exc_info=result.error)

    def _active(self, hook: str, warn: Warn) -> list[str]:
        active = []
        for extension in self._host.implementers(hook):
            if self._failures[extension, hook] < FAILURES_TO_SUSPEND:
                active.append(extension)
            else:
                warn(f"extension {extension!r}: its {hook} is suspended, for it failed three times in a row", extension)
        return active

    def _call(self, extension: str, hook: str, warn: Warn, **arguments: Any) -> HookResult:
        result = self._host.call(extension, hook, **arguments)
        if result.error is None:
            self._failures[extension, hook] = 0
            return result
        self._failures[extension, hook] += 1
        if self._failures[extension, hook] == FAILURES_TO_SUSPEND:
            message = f"extension {extension!r}: its {hook} failed three times in a row and is suspended from now on"
            log.warning("%s", message)
            self._host.book.suspend(extension, hook)
            warn(message, extension)
        return result


def _unmarked(context: PictureContext, why: str) -> JobFailed:
    return JobFailed(
        f"{context.pipeline.title}: what it makes is kept only with a mark that a machine made it, and {why}.",
        hint="The extension provenance marks files: the Extensions tab says whether it is loaded.",
    )


def _quiet(message: str, extension: str) -> None:
    log.debug("%s", message)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
