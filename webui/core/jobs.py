"""Jobs and the events that tell of them: what travels between the web process, the queue and the workers."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from .guests import UNBOUNDED, Quota
from .hook_use import HookUse
from .ids import new_id
from .memory import MemorySnapshot
from .specs import ArtifactKind


class JobState(StrEnum):
    """queued -> running -> done, failed or cancelled; running -> queued when its worker or server died."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ArtifactRecord(_Data):
    """A finished artifact on disk. ``id`` is ``<job id>-<index>``."""

    id: str
    job_id: str
    index: int
    kind: ArtifactKind
    path: str
    """Relative to the library's folder, with forward slashes."""
    media_type: str
    size_bytes: int
    sha256: str
    pipeline: str = ""
    title: str = ""
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    created_at: float = Field(default_factory=time.time)
    """Seconds since 1970."""
    warnings: tuple[str, ...] = ()


class ErrorInfo(_Data):
    """Why a job failed."""

    kind: str
    """Name of the exception's class."""
    message: str
    hint: str = ""
    traceback: str = ""
    extension: str = ""


class Progress(_Data):
    """How far a job is. ``fraction`` is of the whole job, in 0..1."""

    step: int = 0
    steps: int = 0
    image: int = 0
    """Images finished."""
    images: int = 0
    fraction: float = 0.0
    eta_s: float | None = None
    """Seconds left, where they can be told."""
    message: str = ""


class Job(_Data):
    """One run of a pipeline with frozen parameters."""

    id: str = Field(default_factory=new_id)
    pipeline: str
    params: dict[str, Any] = Field(default_factory=dict)
    owner: str = "local"
    state: JobState = JobState.QUEUED
    created_at: float = Field(default_factory=time.time)
    started_at: float | None = None
    finished_at: float | None = None
    attempts: int = 0
    progress: Progress = Progress()
    error: ErrorInfo | None = None
    warnings: tuple[str, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()
    position: int | None = None
    """Jobs before it in the queue, while it waits."""


class JobQueued(_Data):
    type: Literal["queued"] = "queued"
    job_id: str


class JobStarted(_Data):
    type: Literal["started"] = "started"
    job_id: str
    attempt: int = 1


class JobProgress(_Data):
    type: Literal["progress"] = "progress"
    job_id: str
    progress: Progress


class JobPreview(_Data):
    """A picture in the making; never stored."""

    type: Literal["preview"] = "preview"
    job_id: str
    index: int = 0
    media_type: str = "image/jpeg"
    data: str
    """Base64."""


class JobArtifact(_Data):
    type: Literal["artifact"] = "artifact"
    job_id: str
    artifact: ArtifactRecord


class JobWarning(_Data):
    type: Literal["warning"] = "warning"
    job_id: str
    message: str
    extension: str = ""


class JobDone(_Data):
    type: Literal["done"] = "done"
    job_id: str
    seconds: float = 0.0


class JobFailedEvent(_Data):
    type: Literal["failed"] = "failed"
    job_id: str
    error: ErrorInfo


class JobCancelled(_Data):
    type: Literal["cancelled"] = "cancelled"
    job_id: str


class DeviceStatus(_Data):
    """What a worker says of its device."""

    name: str
    kind: str
    """cpu, cuda, mps or xpu."""
    dtype: str = ""
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    models_bytes: int = 0
    """Held by cached models."""
    attention: str = ""


class WorkerReady(_Data):
    """A worker's first word."""

    type: Literal["ready"] = "ready"
    pid: int
    device: DeviceStatus


class WorkerStatus(_Data):
    type: Literal["status"] = "status"
    device: DeviceStatus


class WorkerMemory(_Data):
    """What a worker's models take; told when it changes."""

    type: Literal["memory"] = "memory"
    memory: MemorySnapshot


class WorkerHooks(_Data):
    """What extensions' hooks took in a worker; told after a job in which some were called."""

    type: Literal["hooks"] = "hooks"
    hooks: tuple[HookUse, ...] = ()


JobEvent = (
    JobQueued
    | JobStarted
    | JobProgress
    | JobPreview
    | JobArtifact
    | JobWarning
    | JobDone
    | JobFailedEvent
    | JobCancelled
)
"""Everything that can be told of one job."""

Event = Annotated[JobEvent | WorkerReady | WorkerStatus | WorkerMemory | WorkerHooks, Field(discriminator="type")]
"""Everything that a worker says."""

EVENT: TypeAdapter[Any] = TypeAdapter(Event)
"""Reads and writes an event as JSON: ``EVENT.validate_json(line)``."""


class RunCommand(_Data):
    """Told to a worker: run this job."""

    type: Literal["run"] = "run"
    job: Job
    done_indices: tuple[int, ...] = ()
    """Artifacts of an earlier attempt that are already on disk."""
    waiting_models: tuple[str, ...] = ()
    """What jobs behind this one will ask for: in memory, it is given up last."""
    quota: Quota = UNBOUNDED
    """What runs within it may ask for."""


class CancelCommand(_Data):
    type: Literal["cancel"] = "cancel"
    job_id: str


class ShutdownCommand(_Data):
    type: Literal["shutdown"] = "shutdown"


class PinCommand(_Data):
    """Keep a component in memory, or no longer. ``entry_id`` as in ``EntryMemory``."""

    type: Literal["pin"] = "pin"
    entry_id: str
    pinned: bool = True


class UnloadCommand(_Data):
    """Give up a component, pinned or not, as soon as nobody leases it; empty: all that nobody leases or pinned."""

    type: Literal["unload"] = "unload"
    entry_id: str = ""


class BudgetCommand(_Data):
    """Bound what models and their work may take on the device; 0: as the settings say."""

    type: Literal["budget"] = "budget"
    budget_bytes: int = Field(ge=0)


MemoryCommand = PinCommand | UnloadCommand | BudgetCommand
"""Obeyed while a job runs too."""

COMMAND: TypeAdapter[Any] = TypeAdapter(
    Annotated[RunCommand | CancelCommand | ShutdownCommand | MemoryCommand, Field(discriminator="type")]
)
"""Reads and writes what a worker is told, one JSON line each."""
