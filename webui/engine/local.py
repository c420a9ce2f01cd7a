"""The runner without a process of its own: for the command line and tests, and as an executor that runs jobs in a
thread.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from webui.core.errors import WorkerDied
from webui.core.guests import UNBOUNDED, Quota
from webui.core.jobs import CancelCommand, Job, JobEvent, MemoryCommand, RunCommand
from webui.core.settings import Settings
from webui.queue.executors import Command, ExecutorStatus

from .device import configure_environment, configure_torch
from .worker import build_runner, obey

if TYPE_CHECKING:
    from .context import Emit
    from .runner import Runner

log = logging.getLogger(__name__)


def run_local(
    runner: Runner,
    job: Job,
    emit: Emit,
    cancelled: threading.Event | None = None,
    done_indices: Collection[int] = (),
    quota: Quota = UNBOUNDED,
) -> None:
    """Run ``job`` to its end in this thread; see ``Runner.run``. KeyboardInterrupt is passed on."""
    configure_environment(runner.settings)
    configure_torch(runner.settings)
    runner.run(job, done_indices, emit, cancelled or threading.Event(), quota)


class InProcessExecutor:
    """``webui.queue.executors.Executor`` whose worker is a thread of this process.

    A thread cannot be ended from outside: ``kill`` cancels its job and turns away from it, and what it still does is
    told to nobody.
    """

    def __init__(self, settings: Settings, *, make_runner: Callable[[Settings], Runner] = build_runner) -> None:
        self._settings = settings
        self._make_runner = make_runner
        self._lock = threading.Lock()
        # Guards which life is the present one.
        self._life: _Life | None = None

    def start(self) -> None:
        self._living()

    def send(self, command: Command) -> None:
        self._living().take(command)

    def receive(self, timeout_s: float) -> JobEvent | None:
        with self._lock:
            life = self._life
        if life is None:
            return None
        try:
            event = life.events.get(timeout=timeout_s) if timeout_s > 0 else life.events.get_nowait()
        except queue.Empty:
            return None
        if event is not None:
            return event
        with self._lock:
            if self._life is life:
                self._life = None
        raise WorkerDied(life.epitaph)

    def kill(self) -> None:
        with self._lock:
            life = self._life
        if life is not None:
            life.end("the worker was ended.")

    def stop(self, grace_s: float) -> None:
        with self._lock:
            life = self._life
        if life is not None:
            life.take(None)
            life.thread.join(grace_s)
            life.end("the worker was stopped.")

    def status(self) -> ExecutorStatus:
        with self._lock:
            return self._life.status if self._life is not None else ExecutorStatus("in-process")

    def _living(self) -> _Life:
        with self._lock:
            if self._life is None:
                self._life = _Life(self._settings, self._make_runner)
                self._life.thread.start()
            return self._life


class _Life:
    """One worker thread, from its start to its end. ``events`` gives None last, when ``epitaph`` says how it ended."""

    def __init__(self, settings: Settings, make_runner: Callable[[Settings], Runner]) -> None:
        self.events: queue.SimpleQueue[JobEvent | None] = queue.SimpleQueue()
        self.epitaph = ""
        self.status = ExecutorStatus("in-process", "starting")
        self.thread = threading.Thread(target=self._work, args=(settings, make_runner), name="worker", daemon=True)
        self._commands: queue.SimpleQueue[RunCommand | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # Guards flags and the end.
        self._flags: dict[str, threading.Event] = {}
        self._ended = False
        self._runner: Runner | None = None

    def take(self, command: Command | None) -> None:
        """A command; None or a shutdown ends the thread after the jobs before it."""
        if isinstance(command, CancelCommand):
            with self._lock:
                flag = self._flags.get(command.job_id)
            if flag is not None:
                flag.set()
        elif isinstance(command, RunCommand):
            with self._lock:
                self._flags[command.job.id] = threading.Event()
            self._commands.put(command)
        elif isinstance(command, MemoryCommand):
            if self._runner is not None:  # before it there is nothing in memory
                obey(command, self._runner.cache)
                self._tell_memory(self._runner)
        else:
            self._commands.put(None)

    def end(self, epitaph: str) -> None:
        """Tell of the end, once; cancel what still runs."""
        with self._lock:
            for flag in self._flags.values():
                flag.set()
            if not self._ended:
                self._ended = True
                self.epitaph = epitaph
                self.status = replace(self.status, state="stopped")
                self.events.put(None)

    def _emit(self, event: JobEvent) -> None:
        with self._lock:
            if not self._ended:
                self.events.put(event)

    def _tell_memory(self, runner: Runner) -> None:
        self.status = replace(self.status, memory=runner.memory())

    def _work(self, settings: Settings, make_runner: Callable[[Settings], Runner]) -> None:
        try:
            runner = self._runner = make_runner(settings)
            self.status = replace(self.status, state="ready", device=runner.status())
            self._tell_memory(runner)
            while (command := self._commands.get()) is not None and not self._ended:
                flag = self._flags[command.job.id]
                run_local(runner, command.job, self._emit, flag, command.done_indices, command.quota)
                with self._lock:
                    self._flags.pop(command.job.id, None)
                self.status = replace(self.status, device=runner.status())
                self._tell_memory(runner)
            self.end("the worker ended.")
        except BaseException as error:  # the thread's last word: what ends it must reach the dispatcher
            log.warning("the worker thread ended", exc_info=True)
            self.end(f"the worker ended: {type(error).__name__}: {error}")
