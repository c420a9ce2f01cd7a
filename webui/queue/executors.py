"""Carries jobs from a dispatcher to a worker and events back; the only way between the two kinds of process.

``Executor`` is a public seam: an extension may register another (``webui.api.ExecutorSpec``) whose worker is an
in-process runner or an actor of a cluster. The words are always the same: commands and events of ``webui.core.jobs``.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import ValidationError

from webui.core.errors import WorkerDied
from webui.core.hook_use import HookUse
from webui.core.jobs import (
    EVENT,
    CancelCommand,
    DeviceStatus,
    JobEvent,
    MemoryCommand,
    RunCommand,
    ShutdownCommand,
    WorkerHooks,
    WorkerMemory,
    WorkerReady,
    WorkerStatus,
)
from webui.core.memory import MemorySnapshot
from webui.core.settings import ROOT, Settings
from webui.queue.process import WorkerProcess

log = logging.getLogger(__name__)

Command = RunCommand | CancelCommand | ShutdownCommand | MemoryCommand
WorkerState = Literal["stopped", "starting", "ready"]


@dataclass(frozen=True)
class ExecutorStatus:
    """What is known of an executor's worker. ``pid`` is None where there is none or it has none here."""

    name: str
    state: WorkerState = "stopped"
    pid: int | None = None
    device: DeviceStatus | None = None
    memory: MemorySnapshot | None = None
    hooks: tuple[HookUse, ...] = ()


class Executor(Protocol):
    """One worker that runs one job at a time, as a dispatcher sees it. Made with ``(settings: Settings)``.

    All methods may be called from any thread; ``receive`` by the dispatcher alone. None may block for longer than its
    argument or its docstring says.
    """

    def start(self) -> None:
        """Begin to start a worker where none lives, and return at once. What goes wrong is told by ``receive``."""

    def send(self, command: Command) -> None:
        """Hand over a command, starting a worker where none lives; returns at once. Commands are carried out in order.

        A worker that dies before or after is told of by ``receive``.
        """

    def receive(self, timeout_s: float) -> JobEvent | None:
        """The next event of a job; None when none came in time.

        Raises WorkerDied once after each death of a worker, when all its events were received; the last lines of its
        log are the error's notes. It may be used again at once: the next ``start`` or ``send`` gets a new worker.
        """

    def kill(self) -> None:
        """End the worker now, whatever it does, with all that it started. ``receive`` then gives what it had said,
        and raises WorkerDied.
        """

    def stop(self, grace_s: float) -> None:
        """Ask the worker to end, and kill it after ``grace_s`` seconds; returns when it is gone. ``receive`` as after
        ``kill``.
        """

    def status(self) -> ExecutorStatus:
        """What is known now. Never waits for the worker."""


class SubprocessExecutor:
    """A worker process of this machine that speaks JSON lines, the default executor.

    Its standard input gets the settings, then a command a line; its standard output gives an event a line, first
    WorkerReady; its standard error goes to ``<logs_dir>/<name>.log``. Lines that are no event are logged and skipped.
    It ends when its standard input ends, and on Linux the kernel kills it when this process dies.

    ``_lock`` guards the worker and the status; no other lock is taken while it is held.
    """

    COMMAND: Sequence[str] = (sys.executable, "-m", "webui.engine.worker")

    def __init__(
        self,
        settings: Settings,
        *,
        name: str = "worker",
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """``environment`` is added to this process's own for the worker."""
        self._settings = settings
        self._name = name
        self._command = list(command or self.COMMAND)
        self._environment = {"PYTHONPATH": _with_root(os.environ.get("PYTHONPATH", "")), **(environment or {})}
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._status = ExecutorStatus(name)
        self._malformed = 0

    def start(self) -> None:
        self._living()

    def send(self, command: Command) -> None:
        self._living().write(command.model_dump_json())

    def _living(self) -> WorkerProcess:
        with self._lock:
            # One that is dead but whose death was not received yet is left to ``receive``, or its last events would
            # be lost.
            if self._worker is None:
                self._status = ExecutorStatus(self._name, "starting")
                self._malformed = 0
                log_path = self._settings.logs_dir / f"{self._name}.log"
                self._worker = WorkerProcess(self._command, self._environment, log_path)
                self._worker.write(self._settings.model_dump_json())
            return self._worker

    def receive(self, timeout_s: float) -> JobEvent | None:
        with self._lock:
            worker = self._worker
        if worker is None:
            return None
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = worker.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if line is None:
                raise self._buried(worker)
            if (event := self._parse(line)) is not None:
                return event

    def _buried(self, worker: WorkerProcess) -> WorkerDied:
        with self._lock:
            if self._worker is worker:
                self._worker = None
                self._status = ExecutorStatus(self._name)
        error = WorkerDied(worker.epitaph, hint=worker.hint)
        for note in worker.last_words():
            error.add_note(note)
        return error

    def _parse(self, line: bytes) -> JobEvent | None:
        try:
            event: Any = EVENT.validate_json(line)
        except ValidationError:
            self._malformed += 1
            if self._malformed <= 10:
                log.warning("the worker %r wrote a line that is no event, skipped: %.200r", self._name, line)
            return None
        if isinstance(event, WorkerReady | WorkerStatus):
            with self._lock:
                pid = event.pid if isinstance(event, WorkerReady) else self._status.pid
                self._status = replace(self._status, state="ready", pid=pid, device=event.device)
            return None
        if isinstance(event, WorkerMemory):
            with self._lock:
                self._status = replace(self._status, memory=event.memory)
            return None
        if isinstance(event, WorkerHooks):
            with self._lock:
                self._status = replace(self._status, hooks=event.hooks)
            return None
        told: JobEvent = event
        return told

    def kill(self) -> None:
        with self._lock:
            worker = self._worker
        if worker is not None:
            worker.kill()

    def stop(self, grace_s: float) -> None:
        with self._lock:
            worker = self._worker
        if worker is not None:
            worker.write(ShutdownCommand().model_dump_json())
            worker.end(grace_s)

    def status(self) -> ExecutorStatus:
        with self._lock:
            if self._worker is not None and self._status.pid is None:
                return replace(self._status, pid=self._worker.pid)
            return self._status


def _with_root(python_path: str) -> str:
    """The worker finds the application by PYTHONPATH, so that it keeps our working directory and relative paths mean
    the same in both.
    """
    root = str(Path(ROOT))
    return os.pathsep.join([root, *[part for part in python_path.split(os.pathsep) if part and part != root]])
