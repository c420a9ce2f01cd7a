"""For authors of extensions: run a pipeline in a test as the application runs it, and look at what came out.

```python
from webui.testing import run_pipeline

def test_it_is_grey(tmp_path):
    outcome = run_pipeline("my_extension.grey", {"seed": 1}, tmp_path, extensions_dirs=[Path("..")])
    assert outcome.state == "done"
    assert outcome.images[0].getpixel((0, 0)) == (128, 128, 128)
```
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from webui.app import Studio, build_studio
from webui.core.jobs import (
    ArtifactRecord,
    ErrorInfo,
    Job,
    JobArtifact,
    JobCancelled,
    JobDone,
    JobFailedEvent,
    JobPreview,
    JobProgress,
    JobWarning,
    Progress,
)
from webui.core.memory import MemorySnapshot
from webui.core.recipes import Recipe
from webui.core.settings import ROOT, Settings
from webui.core.specs import Artifact
from webui.library.marks import MarkChange

if TYPE_CHECKING:
    from fastapi import FastAPI

    from webui.engine.simdevice import SimDevice


@dataclass
class Outcome:
    """What a job told while it ran, and what it left."""

    job: Job
    studio: Studio
    state: str = ""
    """done, failed or cancelled."""
    error: ErrorInfo | None = None
    records: list[ArtifactRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    previews: int = 0
    memory: MemorySnapshot | None = None
    """What the job left in the worker's cache, and what the cache did for it."""

    @property
    def paths(self) -> list[Path]:
        """The files, in the order they were made."""
        return [self.studio.files.path_of(record) for record in self.records]

    @property
    def images(self) -> list[Image.Image]:
        """The pictures, decoded."""
        images: list[Image.Image] = []
        for record, path in zip(self.records, self.paths, strict=True):
            if record.kind == "image":
                with Image.open(path) as image:
                    images.append(image.copy())
        return images

    def take(self, event: Any) -> None:
        """Fold one event in."""
        if isinstance(event, JobArtifact):
            self.records.append(event.artifact)
        elif isinstance(event, JobWarning):
            self.warnings.append(event.message)
        elif isinstance(event, JobProgress):
            self.progress.append(event.progress)
        elif isinstance(event, JobPreview):
            self.previews += 1
        elif isinstance(event, JobFailedEvent):
            self.state, self.error = "failed", event.error
        elif isinstance(event, JobDone):
            self.state = "done"
        elif isinstance(event, JobCancelled):
            self.state = "cancelled"


def make_studio(
    data_dir: Path,
    *,
    extensions_dirs: Sequence[Path] | None = None,
    models_dirs: Sequence[Path] | None = None,
    **settings: Any,
) -> Studio:
    """The application without queue and page, on the test's own folders.

    The project's extensions and models are used unless others are named.
    """
    return build_studio(
        Settings(
            data_dir=data_dir,
            extensions_dirs=tuple(extensions_dirs if extensions_dirs is not None else [ROOT / "extensions"]),
            models_dirs=tuple(models_dirs if models_dirs is not None else [ROOT / "models"]),
            **settings,
        ),
        allow_paths=True,
    )


def model_files(studio: Studio) -> Any:
    """What of ``webui.api.Models`` looks at files, without a job: ``listed``, ``shapes``, ``open_weights``."""
    from webui.engine.weights import ModelFiles

    return ModelFiles(studio.catalog)


def run_pipeline(
    pipeline: str,
    params: Mapping[str, Any],
    data_dir: Path,
    *,
    studio: Studio | None = None,
    job: Job | None = None,
    done_indices: Sequence[int] = (),
    cancel_when: Callable[[Outcome], bool] | None = None,
    device: SimDevice | None = None,
    **where: Any,
) -> Outcome:
    """Run one job to its end in this process. ``where``: as ``make_studio``. Raises ParameterError.

    ``job``: one that was run before, which goes on as after the death of its worker: what is on disk counts as done,
    and ``params`` are not looked at.

    ``cancel_when`` is asked after each event; the first True cancels the job, as a click on Stop would. ``device``:
    weights move to and from this simulated device, which has so many bytes and fails when it is told to.
    """
    from webui.engine.local import run_local

    studio = studio or make_studio(data_dir, **where)
    spec = studio.host.pipelines[pipeline]
    if job is None:
        job = Job(pipeline=pipeline, params=studio.freeze(spec, params))
    else:
        job = job.model_copy(update={"attempts": job.attempts + 1})
        done_indices = (*done_indices, *(record.index for record in studio.files.find_job(job)))
    outcome = Outcome(job, studio)
    cancelled = threading.Event()

    def take(event: Any) -> None:
        outcome.take(event)
        if cancel_when is not None and cancel_when(outcome):
            cancelled.set()

    runner = studio.runner()
    if device is not None:
        device.take_over(runner)
    run_local(runner, job, take, cancelled, done_indices=tuple(done_indices))
    outcome.memory = runner.cache.snapshot()
    return outcome


def make_app(studio: Studio, *, token: str = "", page: bool = False) -> FastAPI:
    """The web application over ``studio``, with its queue and a worker that is a thread of this process; for routes of
    an extension (1.4).

    Give it to a test client, or to uvicorn. ``token``: ask for this access token. ``app.state.start.status`` is ``ok``
    once ``app_started`` was called, which is after the first request. Without ``page``, Gradio is not imported.
    """
    from webui.accounts.store import AccountStore
    from webui.engine.local import InProcessExecutor
    from webui.queue.service import JobService
    from webui.web.access import AccessPolicy
    from webui.web.application import create_app
    from webui.web.services import Services

    def index(job: Job, record: ArtifactRecord) -> None:
        studio.library.add(record)

    jobs = JobService(
        studio.settings,
        studio.host.pipelines,
        freeze=studio.freeze,
        find_done=studio.files.find_job,
        observers=[index],
        executors=[InProcessExecutor(studio.settings, make_runner=lambda settings: studio.runner())],
    )
    services = Services(
        settings=studio.settings,
        host=studio.host,
        jobs=jobs,
        library=studio.library,
        catalog=studio.catalog,
        uploads=studio.uploads,
        accounts=AccountStore(studio.settings.accounts_path),
    )
    return create_app(services, AccessPolicy(token=token), page=page)


def put_pictures(studio: Studio, pictures: Sequence[Image.Image], *, collection: str = "") -> list[str]:
    """Put pictures into the library, as one job's, and into a collection; the ids of their artifacts. (1.4)"""
    job = Job(pipeline="test.pictures")
    ids = []
    for index, picture in enumerate(pictures):
        recipe = Recipe(pipeline=job.pipeline, params={}, index=index, seed=index)
        record = studio.files.save(Artifact("image", picture, index=index, seed=index), job, recipe)
        studio.library.add(record, recipe)
        ids.append(record.id)
    if collection:
        studio.library.mark(ids, MarkChange(add_collections=(collection,)))
    return ids


def simulated_device(total_bytes: int, **options: Any) -> SimDevice:
    """A device for ``run_pipeline``. ``options``: those of ``webui.engine.simdevice.SimDevice``."""
    from webui.engine.simdevice import SimDevice

    return SimDevice(total_bytes, **options)


__all__ = [
    "Outcome",
    "Studio",
    "make_app",
    "make_studio",
    "model_files",
    "put_pictures",
    "run_pipeline",
    "simulated_device",
]
