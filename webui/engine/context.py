"""What a running pipeline sees: ``webui.api.Context`` for one job, built on the cache, the uploads and the job's
events.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from webui.core import work_folders
from webui.core.errors import Cancelled, FieldError, JobFailed, ModelError, NotFound, ParameterError
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import ArtifactRecord, Job, JobEvent, JobWarning
from webui.core.recipes import ModelUse
from webui.core.specs import Artifact, Component, FeatureNetwork, LatentSpace, PipelineSpec, Work
from webui.library import metadata
from webui.plugins.settings import extension_settings
from webui.plugins.words import words_of

from .cache import Lease
from .convert import convert
from .findings import FindingsFile
from .progress import PreviewGate, ProgressMeter, ShiftedPreviews
from .reach import Reach
from .surroundings import Surroundings
from .weights import ModelFiles, open_weights, read_values

if TYPE_CHECKING:
    from PIL.Image import Image

    from webui.api import FeatureExtractor, LatentGenerator, ResolvedModel
    from webui.catalog.catalog import Catalog

T = TypeVar("T")
Emit = Callable[[JobEvent], None]


@dataclass
class JobModels:
    """``webui.api.Models`` for one job: the shared cache, and a record of the leases it holds."""

    _around: Surroundings
    _reach: Reach
    _open: list[Lease] = field(default_factory=list)
    _looked: bool = False

    @contextmanager
    def lease(
        self,
        components: Mapping[str, Component],
        *,
        work: Work | None = None,
        exclusive: bool = False,
        off_device: Collection[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """See ``webui.api.Models.lease``."""
        held = self._around.cache.acquire(components, work=work, exclusive=exclusive, off_device=off_device)
        self._open.append(held)
        try:
            yield held.values
        finally:
            self._around.cache.release(held)
            if held in self._open:  # not where ``release_all`` was faster
                self._open.remove(held)

    def fits(self, components: Iterable[Component], *, work: Work | None = None) -> bool:
        """See ``webui.api.Models.fits``."""
        return self._around.cache.fits(components, work=work)

    def part(self, module: torch.nn.Module) -> AbstractContextManager[None]:
        """See ``webui.api.Models.part``."""
        return self._around.cache.part(module)

    def attempt(
        self, attempt: Callable[[], T], knobs: Mapping[str, Callable[[], None]], *, work: Work | None = None
    ) -> T:
        """See ``webui.api.Models.attempt``."""
        return self._around.cache.attempt(attempt, knobs, work)

    def resolve(self, ref: str, kind: str = "") -> ResolvedModel:
        """See ``webui.api.Models.resolve``: the catalog first, then the extensions.

        The answer of the catalog has its hash, for which the weights are read once in their life: a recipe that got
        the hash only at the second run would make two pictures of one.
        """
        catalog = self._current_catalog()
        try:
            entry = catalog.resolve(ref, kind)
            if self._reach.is_guest:
                self._reach.check_model(entry.ref, {one.ref for one in catalog.entries()})
            return catalog.hashed(entry)
        except NotFound:
            if self._reach.is_guest:
                raise
            found: ResolvedModel | None = self._around.host.first("resolve_model", ref=ref)
            if found is None:
                raise
            return found
        except OSError as error:
            raise ModelError(f"model {ref!r} cannot be read: {error}.", hint="Fetch the model again.") from error

    def listed(self, kind: str = "") -> Sequence[ResolvedModel]:
        """See ``webui.api.Models.listed``."""
        return ModelFiles(self._current_catalog()).listed(kind)

    def _current_catalog(self) -> Catalog:
        """Looked through once a job: files may have come and gone since the last one."""
        if not self._looked:
            self._around.catalog.refresh()
            self._looked = True
        return self._around.catalog

    def shapes(self, path: Path) -> Mapping[str, tuple[int, ...]]:
        """See ``webui.api.Models.shapes``."""
        return ModelFiles(self._around.catalog).shapes(path)

    def open_weights(self, path: Path, prefixes: Iterable[str] = ("",)) -> dict[str, Any]:
        """See ``webui.api.Models.open_weights``."""
        return open_weights(path, prefixes)

    def values(self, path: Path, prefix: str = "") -> Mapping[str, Any]:
        """See ``webui.api.Models.values``."""
        return read_values(path, prefix)

    @property
    def leased(self) -> bool:
        """Whether the job holds a lease."""
        return bool(self._open)

    def to_safetensors(
        self, source: Path, target: Path, *, half: bool = False, progress: Callable[[int, int], None]
    ) -> int:
        """See ``webui.api.Models.to_safetensors``."""
        return convert(source, target, half=half, progress=progress)

    def release_all(self) -> int:
        """Give back what the job left leased; how many leases that were."""
        left, self._open = self._open, []
        for held in left:
            self._around.cache.release(held)
        return len(left)


@dataclass
class JobWarnings:
    """What a job tells its user that is no error; the same words once."""

    job_id: str
    emit: Emit
    messages: list[str] = field(default_factory=list)

    def say(self, message: str, extension: str = "") -> None:
        """``extension`` names whose fault it is, where it is one's."""
        if message not in self.messages:
            self.messages.append(message)
            self.emit(JobWarning(job_id=self.job_id, message=message, extension=extension))


@dataclass(frozen=True)
class Place:
    """Where a run within a run puts what it makes: its artifacts 0..count-1 become index..index+count-1 of the job."""

    index: int
    count: int = 1
    title: str = ""
    """In place of the artifacts' own, unless empty."""
    take: Callable[[Artifact], None] | None = None
    """Is given the artifacts in place of the library."""


class Producing(Protocol):
    """The run that a context belongs to, as the context needs it."""

    def save(self, artifact: Artifact) -> ArtifactRecord: ...
    def saved(self, index: int) -> Path | None: ...
    def run_within(self, pipeline: str, raw: Mapping[str, Any], place: Place) -> tuple[ArtifactRecord, ...]: ...


class JobContext:
    """``webui.api.Context`` for one run of one job; ``close`` ends it."""

    def __init__(
        self,
        around: Surroundings,
        job: Job,
        spec: PipelineSpec,
        *,
        done_indices: Collection[int],
        emit: Emit,
        warnings: JobWarnings,
        cancelled: threading.Event,
        production: Producing,
        quota: Quota = UNBOUNDED,
    ) -> None:
        self._around = around
        self._job = job
        self._spec = spec
        self._done = set(done_indices) if spec.resumable else set()
        self._warnings = warnings
        self._cancelled = cancelled
        self._production = production
        self._folder = work_folders.work_folder(around.settings, job.id)
        self.reach = Reach(around, job.owner, quota)
        self._models = JobModels(around, self.reach)
        self._deadline = time.monotonic() + spec.timeout_s if spec.timeout_s is not None else None
        self._settings: Mapping[str, Any] | None = None
        self.meter = ProgressMeter(job.id, emit)
        self.previews: PreviewGate | ShiftedPreviews = PreviewGate(job.id, emit, around.settings.preview_interval_s)
        self.uses: tuple[ModelUse, ...] = ()

    @property
    def job(self) -> Job:
        return self._job

    @property
    def models(self) -> JobModels:
        return self._models

    @property
    def device(self) -> torch.device:
        return self._around.device.torch_device

    @property
    def dtype(self) -> torch.dtype:
        return self._around.device.dtype

    @property
    def deterministic(self) -> bool:
        return self._around.settings.deterministic

    @property
    def offline(self) -> bool:
        return self._around.settings.offline

    @property
    def settings(self) -> Mapping[str, Any]:
        if self._settings is None:
            self._settings = extension_settings(self._around.settings, self._around.host, self._spec.extension)
        return self._settings

    @property
    def log(self) -> logging.Logger:
        return logging.getLogger(f"lifelike.{self._spec.id}")

    @property
    def work_dir(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    @property
    def pipelines(self) -> Mapping[str, PipelineSpec]:
        return self._around.host.pipelines

    def pending(self, total: int, weights: Sequence[float] = ()) -> list[int]:
        """See ``webui.api.Context.pending``. Raises ValueError on a negative total."""
        if total < 0:
            raise ValueError(f"pending: expected the number of artifacts that the job makes, got {total}")
        left = [index for index in range(total) if index not in self._done]
        done = set(range(total)).difference(left)
        self.meter.expect(total, len(done), done=done, weights=weights)
        return left

    def findings(self, topic: str) -> FindingsFile:
        return self._around.findings(topic)

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator("cpu").manual_seed(seed)

    def progress(self, step: int, steps: int, message: str = "", batch: int = 1) -> None:
        """See ``webui.api.Context.progress``."""
        self.check_cancelled()
        self.meter.step(step, steps, message, batch)

    def preview(self, make: Image | Callable[[], Image], index: int = 0) -> None:
        trouble = self.previews.offer(make, index)
        if trouble:
            self.warn(trouble)

    def folders(self, name: str) -> list[Path]:
        return self._around.settings.folders(name)

    def open_image(self, ref: str) -> Image:
        return self._around.uploads.open_image(self.reach.check(ref))

    def made_with(self, source: Path | bytes) -> Mapping[str, Any]:
        """See ``webui.api.Context.made_with``."""
        return metadata.read(source).params

    def open_file(self, ref: str) -> Path:
        return self._around.uploads.path(self.reach.check(ref))

    def open_folder(self, path: str) -> Path:
        return self.reach.folder(path)

    def save(self, artifact: Artifact) -> ArtifactRecord:
        record = self._production.save(artifact)
        self.note_saved(artifact.index)
        return record

    def note_saved(self, index: int) -> None:
        """The artifact of ``index`` is on disk."""
        if index not in self._done:
            self._done.add(index)
            self.meter.image_saved(index)
        self.previews.images_changed()

    def saved(self, index: int) -> Path | None:
        """See ``webui.api.Context.saved``."""
        return self._production.saved(index)

    def run(
        self,
        pipeline: str,
        params: Mapping[str, Any],
        *,
        index: int = 0,
        count: int = 1,
        title: str = "",
        take: Callable[[Artifact], None] | None = None,
    ) -> tuple[ArtifactRecord, ...]:
        """See ``webui.api.Context.run``. Raises ValueError for places that are none."""
        if index < 0 or count < 1:
            raise ValueError(f"run: expected an index from 0 on and a count from 1 on, got {index} and {count}")
        self.check_cancelled()
        return self._production.run_within(pipeline, params, Place(index, count, title, take))

    @property
    def feature_networks(self) -> Mapping[str, FeatureNetwork]:
        return self._around.host.feature_networks

    def feature_extractor(self, network: str, weights: str = "", resize: str = "") -> FeatureExtractor:
        """See ``webui.api.Context.feature_extractor``."""
        host = self._around.host
        spec = host.feature_networks.get(network)
        if spec is None:
            known = ", ".join(host.feature_networks) or "none"
            raise NotFound(f"there is no feature network {network[:100]!r}; there are: {known}.")
        if resize and resize not in spec.resizes:
            raise ParameterError([FieldError("resize", "expected one of " + ", ".join(spec.resizes), repr(resize))])
        made = host.load_object(host.owner_of("feature_networks", network), spec.run)
        extractor: FeatureExtractor = made(self._models, weights, resize or spec.resizes[0])
        return extractor

    def words(self, language: str) -> Mapping[str, str]:
        """See ``webui.api.Context.words``."""
        loaded = [one for one in self._around.host.extensions if one.state == "loaded" and one.path]
        loaded.sort(key=lambda one: one.id == self._spec.extension)
        known = re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", language)
        return words_of((Path(one.path) for one in loaded), language) if known else {}

    @property
    def latent_spaces(self) -> Mapping[str, LatentSpace]:
        return self._around.host.latent_spaces

    def latent_generator(self, space: str, model: str = "") -> LatentGenerator:
        """See ``webui.api.Context.latent_generator``."""
        host = self._around.host
        spec = host.latent_spaces.get(space)
        if spec is None:
            known = ", ".join(host.latent_spaces) or "none"
            raise NotFound(f"there is no latent space {space[:100]!r}; there are: {known}.")
        generator: LatentGenerator = host.load_object(host.owner_of("latent_spaces", space), spec.run)(
            self._models, model
        )
        return generator

    def collection(self, name: str) -> list[str]:
        """See ``webui.api.Context.collection``."""
        return self.reach.collection(name)

    def use_model(self, use: ModelUse) -> None:
        if use not in self.uses:
            self.uses = (*self.uses, use)

    def warn(self, message: str) -> None:
        self._warnings.say(message)

    def inner_folder(self, index: int) -> Path:
        """The work folder of a run within this one."""
        return self._folder / f"run-{index}"

    @property
    def enough(self) -> bool:
        """Whether the pipeline may be ended, since nobody waits for what it would still make."""
        return False

    @property
    def complete(self) -> bool:
        """Whether every artifact that the pipeline announced is saved."""
        return 0 < self.meter.images <= self.meter.finished

    def check_cancelled(self) -> None:
        """See ``webui.api.Context.check_cancelled``. Raises JobFailed when the pipeline's time is over."""
        if self._cancelled.is_set():
            raise Cancelled
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise JobFailed(
                f"{self._spec.title} took longer than its limit of {self._spec.timeout_s:g} s.",
                hint="Ask for less at once.",
            )

    def close(self, *, keep_work: bool) -> None:
        """End the job's view of the application: tell the last progress, give back leases, remove the work folder."""
        self.meter.flush()
        left = self._models.release_all()
        if left:
            self.log.warning("%s left %d leases open; they were given back", self._spec.id, left)
        if keep_work:
            self._keep_work()
        else:
            work_folders.forget(self._folder)

    def _keep_work(self) -> None:
        work_folders.keep(self._around.settings, self.job)
