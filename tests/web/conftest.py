"""A whole application on a folder of its own: real host, queue, library and uploads; only the worker is a thread that
paints one colour.
"""

from __future__ import annotations

import base64
import contextlib
import io
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from webui.accounts.store import AccountStore
from webui.catalog.catalog import Catalog
from webui.core.errors import NotFound, WorkerDied
from webui.core.guests import GuestRules, folder_of_guest, is_guest
from webui.core.jobs import (
    BudgetCommand,
    CancelCommand,
    DeviceStatus,
    ErrorInfo,
    Job,
    JobArtifact,
    JobCancelled,
    JobDone,
    JobEvent,
    JobFailedEvent,
    JobPreview,
    JobProgress,
    JobStarted,
    PinCommand,
    Progress,
    RunCommand,
    ShutdownCommand,
    UnloadCommand,
)
from webui.core.memory import MemorySnapshot
from webui.core.recipes import Recipe
from webui.core.settings import Settings
from webui.core.specs import Artifact, PipelineSpec
from webui.core.validating import freeze
from webui.library.files import LibraryFiles
from webui.library.index import Index
from webui.library.library import Library
from webui.library.uploads import UploadStore, interning
from webui.plugins.host import ExtensionHost
from webui.queue.executors import Command, ExecutorStatus
from webui.queue.service import JobService
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.services import Services

EASEL = """
from fastapi import APIRouter
from webui.api import Params, PipelineSpec, colour, hookimpl, image, images, integer, prompt, seed

class Paint(Params):
    prompt: str = prompt(label="Prompt")
    count: int = integer(1, minimum=1, maximum=8, label="Pictures")
    colour: str = colour("#204060", label="Colour")
    seed: int = seed()
    image: str | None = image(label="Start from")
    pictures: tuple[str, ...] = images(label="More")

class Nothing(Params):
    pass

started = []

@hookimpl
def register_pipelines():
    return [
        PipelineSpec(id="easel.paint", title="Paint", description="Fills a canvas", params=Paint, run=".work:Paint"),
        PipelineSpec(id="easel.wait", title="Wait", params=Nothing, run=".work:Wait"),
        PipelineSpec(id="easel.train", title="Train", params=Nothing, run=".work:Train", outputs="file"),
        PipelineSpec(id="easel.fail", title="Fail", params=Nothing, run=".work:Fail"),
    ]

@hookimpl
def app_started(app):
    @app.http.get("/ext/easel/colours")
    def colours():
        return ["red", "green"]

    app.without_login("/ext/easel/guests/")

    @app.http.get("/ext/easel/guests/{name}")
    def guest(name: str):
        return {"guest": name}

    @app.http.get("/api/v1/stolen")
    def stolen():
        return "must never be served"

    included = APIRouter(prefix="/ext/easel/brushes")
    included.add_api_route("/{name}", lambda name: {"brush": name})
    app.http.include_router(included)
    beyond = APIRouter()
    beyond.add_api_route("/ext/easel/fine", lambda: "refused with the other")
    beyond.add_api_route("/api/v1/robbed", lambda: "must never be served")
    app.http.include_router(beyond)
"""


class PaintingExecutor:
    """``webui.queue.executors.Executor`` in a thread: paints the colour asked for, waits until it is cancelled, or
    fails.
    """

    def __init__(self, files: LibraryFiles, memory: MemorySnapshot | None = None) -> None:
        self._files = files
        self.memory = memory
        self._events: queue.Queue[JobEvent | None] = queue.Queue()
        self._cancelled: dict[str, threading.Event] = {}

    def start(self) -> None:
        pass

    def send(self, command: Command) -> None:
        match command:
            case RunCommand(job=job):
                self._cancelled[job.id] = threading.Event()
                threading.Thread(target=self._run, args=(job,), daemon=True).start()
            case CancelCommand(job_id=job_id):
                self._cancelled[job_id].set()
            case ShutdownCommand():
                self.kill()
            case _:
                self._keep(command)

    def _keep(self, command: Command) -> None:
        """What a worker's cache does with a command on memory, on a snapshot."""
        if self.memory is None:
            return  # a worker that told of no memory has nothing to change
        entries = self.memory.entries
        match command:
            case PinCommand(entry_id=entry_id, pinned=pinned):
                entries = tuple(e.model_copy(update={"pinned": pinned}) if e.id == entry_id else e for e in entries)
            case UnloadCommand(entry_id=entry_id):
                entries = tuple(e for e in entries if (e.id != entry_id if entry_id else e.pinned or e.holders))
            case BudgetCommand(budget_bytes=budget):
                self.memory = self.memory.model_copy(update={"budget_bytes": budget or None})
        self.memory = self.memory.model_copy(update={"entries": entries})

    def _run(self, job: Job) -> None:
        self._events.put(JobStarted(job_id=job.id))
        name = job.pipeline.partition(".")[2]
        if name == "paint":
            for index in range(job.params["count"]):
                self._paint(job, index)
            self._events.put(JobDone(job_id=job.id))
        elif name == "wait":
            self._preview(job, 0, Image.new("RGB", (48, 32)))
            self._events.put(JobProgress(job_id=job.id, progress=Progress(step=1, steps=2, fraction=0.5)))
            self._cancelled[job.id].wait(30)
            self._events.put(JobCancelled(job_id=job.id))
        else:
            error = ErrorInfo(kind="JobFailed", message="the canvas tore", hint="Take another.")
            self._events.put(JobFailedEvent(job_id=job.id, error=error))

    def _preview(self, job: Job, index: int, picture: Image.Image) -> None:
        small = io.BytesIO()
        picture.save(small, "JPEG")
        data = base64.b64encode(small.getvalue()).decode()
        self._events.put(JobPreview(job_id=job.id, index=index, data=data))

    def _paint(self, job: Job, index: int) -> None:
        picture = Image.new("RGB", (96, 64), job.params["colour"])
        self._preview(job, index, picture)
        seed = job.params["seed"] + index
        recipe = Recipe(pipeline=job.pipeline, params=job.params, index=index, seed=seed)
        record = self._files.save(Artifact("image", picture, index=index, seed=seed), job, recipe)
        self._events.put(JobArtifact(job_id=job.id, artifact=record))

    def receive(self, timeout_s: float) -> JobEvent | None:
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if event is None:
            raise WorkerDied("the painter left")
        return event

    def kill(self) -> None:
        for event in self._cancelled.values():
            event.set()
        self._events.put(None)

    def stop(self, grace_s: float) -> None:
        self.kill()

    def status(self) -> ExecutorStatus:
        device = DeviceStatus(name="Canvas", kind="cpu", attention="native")
        return ExecutorStatus("easel", "ready", 4242, device, self.memory)


def make_services(folder: Path, memory: MemorySnapshot | None = None, **settings: Any) -> Services:
    """Every real part on ``folder``, with the extension ``easel`` and a worker that is a thread and says ``memory`` of
    its models.
    """
    extension = folder / "extensions" / "easel"
    extension.mkdir(parents=True, exist_ok=True)
    (extension / "extension.toml").write_text('id = "easel"\nversion = "1.0"\napi = "1.0"\n')
    (extension / "__init__.py").write_text(EASEL)
    said = Settings(
        data_dir=folder / "data", models_dirs=(folder / "models",), extensions_dirs=(folder / "extensions",), **settings
    )
    host = ExtensionHost.load(said)
    assert [record.state for record in host.extensions] == ["loaded"], host.extensions
    files = LibraryFiles(said.library_dir, said.image_format, said.image_quality)
    library = Library(files, Index(said.index_path))
    uploads = UploadStore(said.uploads_dir, said.max_upload_bytes, said.max_image_pixels, library.path)
    accounts = AccountStore(said.accounts_path)

    def owns(owner: str, artifact_id: str) -> bool:
        try:
            return bool(library.within(folder_of_guest(owner)).get(artifact_id))
        except NotFound:
            return False

    def frozen(spec: PipelineSpec, raw: Mapping[str, Any], owner: str) -> dict[str, Any]:
        guest = owner if is_guest(owner) else ""
        sent = partial(uploads.is_from, guest=guest)
        rules = GuestRules(partial(owns, owner), sent, accounts.get(owner).quota) if guest else None
        if rules is not None:
            rules.check_raw(spec, raw)
        values = freeze(spec.params, raw, intern=interning(uploads, allow_paths=False, guest=guest))
        if rules is not None:
            rules.check_frozen(spec, values)
        return values

    jobs = JobService(
        said,
        host.pipelines,
        freeze=frozen,
        find_done=files.find_job,
        observers=[lambda job, record: library.add(record)],
        executors=[PaintingExecutor(files, memory)],
    )
    return Services(
        settings=said,
        host=host,
        jobs=jobs,
        library=library,
        catalog=Catalog(said),
        uploads=uploads,
        accounts=accounts,
    )


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return make_services(tmp_path, max_upload_bytes=200_000, max_image_pixels=1_000_000)


@pytest.fixture
def app(services: Services) -> FastAPI:
    return create_app(services, AccessPolicy(), page=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with started(app) as client:
        yield client


@contextlib.contextmanager
def started(app: FastAPI, headers: dict[str, str] | None = None) -> Iterator[TestClient]:
    """A client whose server has started wholly, as it does after the first page."""
    with TestClient(app, base_url="http://127.0.0.1", headers=headers) as client:
        client.get("/")
        wait_for(lambda: client.get("/api/v1/health").json()["status"] == "ok")
        yield client


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def png(width: int = 32, height: int = 24, colour: str = "#a04020") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


def finished(client: TestClient, job_id: str) -> dict[str, Any]:
    """The job, once it has ended."""
    wait_for(lambda: client.get(f"/api/v1/jobs/{job_id}").json()["state"] in ("done", "failed", "cancelled"))
    answer: dict[str, Any] = client.get(f"/api/v1/jobs/{job_id}").json()
    return answer


def paint(client: TestClient, **params: Any) -> dict[str, Any]:
    """A finished job of ``easel.paint``."""
    answer = client.post("/api/v1/jobs", json={"pipeline": "paint", "params": params})
    assert answer.status_code == 202, answer.text
    job = finished(client, answer.json()["id"])
    assert job["state"] == "done", job
    return job
