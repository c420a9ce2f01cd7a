"""What the queue's tests share: a service on a fake but real worker process, and ways to wait for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from webui.core.declaring import text
from webui.core.jobs import ArtifactRecord, Job
from webui.core.parameters import Params
from webui.core.settings import Settings
from webui.core.specs import PipelineSpec
from webui.core.validating import validate
from webui.queue.executors import SubprocessExecutor
from webui.queue.limits import Limits
from webui.queue.service import JobService

WORKER = [sys.executable, "-S", str(Path(__file__).with_name("fake_worker.py"))]
LIMITS = Limits(cancel_grace_s=0.5, start_s=10.0, stop_grace_s=0.5, poll_s=0.02, idle_s=0.1)


class Free(Params):
    """One declared field; the rest of a fake job's parameters are passed as they are by ``freeze``."""

    prompt: str = text("", label="Prompt")


PIPELINES = {
    "fake.draw": PipelineSpec("fake.draw", "Draw", Free, run="fake:Draw"),
    "fake.quick": PipelineSpec("fake.quick", "Quick", Free, run="fake:Quick", timeout_s=1.0),
    "fake.whole": PipelineSpec("fake.whole", "Whole", Free, run="fake:Whole", resumable=False),
    "other.draw_lines": PipelineSpec("other.draw_lines", "Lines", Free, run="fake:Lines"),
    "other.quick": PipelineSpec("other.quick", "Quick too", Free, run="fake:Quick"),
}


def freeze(spec: PipelineSpec, raw: Mapping[str, Any], owner: str = "local") -> dict[str, Any]:
    if "prompt" in raw:
        validate(spec.params, {"prompt": raw["prompt"]})
    return dict(raw)


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder)


def record(job_id: str, index: int = 0, **more: Any) -> ArtifactRecord:
    values = {
        "kind": "image",
        "path": f"{job_id}-{index}.txt",
        "media_type": "text/plain",
        "size_bytes": 1,
        "sha256": "",
    }
    return ArtifactRecord.model_validate(
        {"id": f"{job_id}-{index}", "job_id": job_id, "index": index, **values, **more}
    )


def find_done(folder: Path) -> Callable[[Job], list[ArtifactRecord]]:
    """What is on disk of a job."""

    def find(job: Job) -> list[ArtifactRecord]:
        indices = sorted(int(path.stem.rpartition("-")[2]) for path in (folder / "images").glob(f"{job.id}-*.txt"))
        return [record(job.id, index) for index in indices]

    return find


def service(folder: Path, *, workers: int = 1, limits: Limits = LIMITS, **more: Any) -> JobService:
    settings = settings_of(folder)
    executors = [SubprocessExecutor(settings, name=f"worker{n}", command=WORKER) for n in range(workers)]
    more.setdefault("find_done", find_done(folder))
    pipelines = more.pop("pipelines", PIPELINES)
    return JobService(settings, pipelines, freeze=freeze, executors=executors, limits=limits, **more)


def made(folder: Path) -> list[str]:
    """Names of the files that workers made, in order, with repetitions."""
    log = folder / "images" / "made.log"
    return log.read_text().split() if log.exists() else []


def until(condition: Callable[[], Any], timeout_s: float = 10.0) -> Any:
    """The first true answer of ``condition``. Raises AssertionError when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.01)
    raise AssertionError(f"not so within {timeout_s} s")


def ended(jobs: JobService, job: Job, timeout_s: float = 10.0) -> Job:
    """The job, once it has ended."""
    with jobs.subscribe(job.id) as subscription:
        deadline = time.monotonic() + timeout_s
        while not subscription.closed and time.monotonic() < deadline:
            subscription.receive(0.5)
    found = jobs.get(job.id)
    assert found.state.ended, f"still {found.state} after {timeout_s} s"
    return found


def alive(pid: int) -> bool:
    """Whether a process lives; one that is dead but not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
