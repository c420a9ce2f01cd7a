"""A real server in a process of its own, with a small extension whose pictures need no model. For tests alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]

MANIFEST = 'id = "paint"\nversion = "1.0"\napi = "1.4"\n'

DECLARATION = """
from webui.api import Params, PipelineSpec, hookimpl, integer, number, seed, choice

MOODS = ["calm", "raises", "rubbish", "babbles", "kills", "eats", "never_ends"]


class PaintParams(Params):
    count: int = integer(1, minimum=1, maximum=50, label="Count")
    steps: int = integer(4, minimum=1, maximum=1000, label="Steps")
    pause_s: float = number(0.0, minimum=0, maximum=10, label="Pause")
    mood: str = choice("calm", MOODS, label="Mood")
    seed: int = seed()


@hookimpl
def register_pipelines():
    yield PipelineSpec(id="paint.squares", title="Squares", params=PaintParams, run=".squares:Squares", keeps_work=True)
"""

WORK = """
import contextlib
import os
import stat
import time

from PIL import Image

from webui.api import Artifact


def babble():
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, b'{"type": "done"}\\n\\xff\\xfe no word of the protocol\\n')


class Squares:
    def run(self, params, context):
        for index in context.pending(params.count):
            raised = context.work_dir / "raised"
            if params.mood == "raises" and index == 1 and not raised.exists():
                raised.touch()
                raise RuntimeError("the paint ran out")
            if params.mood == "rubbish":
                yield "not an artifact"
            if params.mood == "babbles":
                babble()
            eaten = []
            while params.mood == "eats" and len(eaten) < 64:
                eaten.append(b"x" * 2**26)
                context.progress(len(eaten), 64)
                time.sleep(0.02)
            if params.mood == "kills":
                os._exit(9)
            while params.mood == "never_ends":
                time.sleep(0.01)
            for step in range(params.steps):
                time.sleep(params.pause_s)
                context.progress(step + 1, params.steps)
            number = params.seed + index
            image = Image.new("RGB", (32, 32), (number % 256, (number * 7) % 256, 90))
            image.putpixel((index % 32, 0), (255, 255, 255))
            yield Artifact("image", image, index=index, seed=number)
"""


def write_extension(directory: Path) -> Path:
    """The extension ``paint`` in ``directory``, which is returned."""
    folder = directory / "paint"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "extension.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "__init__.py").write_text(DECLARATION, encoding="utf-8")
    (folder / "squares.py").write_text(WORK, encoding="utf-8")
    return directory


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running server and a client of it."""

    def __init__(self, folder: Path, port: int, further: Mapping[str, str] | None = None) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LIFELIKE_DATA_DIR": str(folder / "data"),
            "LIFELIKE_EXTENSIONS_DIRS": str(folder / "extensions"),
            "LIFELIKE_CANCEL_GRACE_S": "1",
            **(further or {}),
        }
        self.log = folder / "server.log"
        self._stream = self.log.open("ab")
        command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--port", str(port)]
        self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=self._stream, stderr=self._stream)
        token = environment.get("LIFELIKE_ACCESS_TOKEN", "")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, headers=headers)
        self._wait(lambda: self.client.get("/api/v1/health").status_code == 200, "the server to answer")

    def _wait(self, ready: Any, what: str, limit_s: float = 90) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended ({self.process.returncode}):\n{self.log.read_text()[-3000:]}")
            with contextlib.suppress(httpx.TransportError):
                if ready():
                    return
            time.sleep(0.05)
        raise AssertionError(f"waited {limit_s} s for {what}:\n{self.log.read_text()[-3000:]}")

    def submit(self, pipeline: str = "paint.squares", /, **params: Any) -> str:
        answer = self.client.post("/api/v1/jobs", json={"pipeline": pipeline, "params": params})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/api/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def wait_for(self, job_id: str, *states: str) -> dict[str, Any]:
        wanted = states or ("done", "failed", "cancelled")
        self._wait(lambda: self.job(job_id)["state"] in wanted, f"{job_id} to be {wanted}")
        return self.job(job_id)

    def wait_for_artifacts(self, job_id: str, count: int) -> None:
        self._wait(lambda: len(self.job(job_id)["artifacts"]) >= count, f"{count} artifacts of {job_id}")

    def worker_pid(self) -> int:
        workers = self.client.get("/api/v1/health").json()["workers"]
        return int(workers[0]["pid"])

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(timeout=10)
        self._stream.close()


@contextlib.contextmanager
def running(folder: Path, port: int | None = None, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server on ``folder``; started again on the same folder it goes on where it was. ``environment``: further
    variables for it.
    """
    write_extension(folder / "extensions")
    server = Server(folder, port or free_port(), environment)
    try:
        yield server
    finally:
        server.close()
