"""A worker process: commands come in by standard input, jobs run, events go out by standard output. `python -m
webui.engine.worker`.

The composition root of this side. The first line on standard input is the settings as JSON, each further one a
command of ``webui.core.jobs``; each line on standard output is an event, the first one WorkerReady. What libraries
print goes to standard error.
"""

from __future__ import annotations

import ctypes
import faulthandler
import functools
import logging
import os
import queue
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, BinaryIO, NoReturn

from webui.core.errors import LifelikeError
from webui.core.hook_use import HookUse
from webui.core.jobs import (
    COMMAND,
    EVENT,
    BudgetCommand,
    CancelCommand,
    DeviceStatus,
    MemoryCommand,
    PinCommand,
    RunCommand,
    ShutdownCommand,
    UnloadCommand,
    WorkerHooks,
    WorkerMemory,
    WorkerReady,
    WorkerStatus,
)
from webui.core.memory import MemorySnapshot
from webui.core.settings import Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from webui.library.library import Library

    from .cache import ModelCache
    from .runner import Runner

STATUS_INTERVAL_S = 2.0
FLUSH_INTERVAL_S = 0.5
"""Progress that was held back is told this much later at most."""
WARM_AFTER_S = 0.5
"""Idle time after the start before modules are imported ahead of need."""
_PR_SET_PDEATHSIG, _PR_GET_PDEATHSIG = 1, 2

log = logging.getLogger("webui.engine.worker")


class Channel:
    """The two ends of the protocol, taken away from everybody else in the process."""

    def __init__(self, commands: BinaryIO, events: BinaryIO) -> None:
        self._commands = commands
        self._events = events
        self._lock = threading.Lock()
        # Guards the writing of one line.

    @staticmethod
    def take() -> Channel:
        """Of this process's standard streams: from now on prints, of native code too, go to standard error, and
        nobody else reads commands.
        """
        commands, events = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return Channel(os.fdopen(commands, "rb"), os.fdopen(events, "wb"))

    def read(self) -> bytes:
        """The next line; empty at the end."""
        return self._commands.readline()

    def emit(self, event: BaseModel) -> None:
        """Write one event. Where nobody listens any more the process ends: its parent is gone."""
        line = EVENT.dump_json(event) + b"\n"
        try:
            with self._lock:
                self._events.write(line)
                self._events.flush()
        except (BrokenPipeError, ValueError):
            leave(0)


class Worker:
    """Runs commands in their order; a reader thread takes cancels while a job runs."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._jobs: queue.SimpleQueue[RunCommand] = queue.SimpleQueue()
        self._lock = threading.Lock()
        # Guards the two fields below: a cancel may come before, while and after its job runs.
        self._flags: dict[str, threading.Event] = {}
        self._running = False
        self._orders: queue.SimpleQueue[MemoryCommand] = queue.SimpleQueue()
        self._last_status: DeviceStatus | None = None
        self._last_memory: MemorySnapshot | None = None
        self._last_hooks: tuple[HookUse, ...] = ()
        self._status_at = 0.0

    def listen(self) -> None:
        """Start to take commands. At the end of the input the process ends at once: whoever started it is gone."""
        threading.Thread(target=self._listen, name="commands", daemon=True).start()

    def _listen(self) -> NoReturn:
        while line := self._channel.read():
            try:
                command = COMMAND.validate_json(line)
            except ValueError:
                log.warning("a line that is no command was skipped: %.200r", line)
                continue
            if isinstance(command, RunCommand):
                with self._lock:
                    self._flags[command.job.id] = threading.Event()
                self._jobs.put(command)
            elif isinstance(command, CancelCommand):
                with self._lock:
                    flag = self._flags.get(command.job_id)
                if flag is not None:
                    flag.set()
            elif isinstance(command, ShutdownCommand):
                break
            else:
                self._orders.put(command)
        # A job that runs is left as it is: what it finished is on disk, and it goes on from there when it is run again.
        leave(0)

    def serve(self, runner: Runner) -> NoReturn:
        """Say that the worker is ready, then run jobs until the end."""
        status = runner.status()
        self._channel.emit(WorkerReady(pid=os.getpid(), device=status))
        self._last_status = status
        self._tell_memory(runner.memory())
        threading.Thread(target=self._watch, args=(runner,), name="status", daemon=True).start()
        threading.Thread(target=self._obey, args=(runner,), name="memory", daemon=True).start()
        warming = warm_up(runner)
        while True:
            try:
                command = self._jobs.get(timeout=None if warming is None or warming.ident else WARM_AFTER_S)
            except queue.Empty:
                if warming is not None:
                    warming.start()
                continue
            if warming is not None and warming.is_alive():
                # Two threads that import one library take longer than one after the other. Not for ever: an import
                # may hang.
                warming.join(timeout=20.0)
            runner.expect(command.waiting_models)
            self._run(runner, command)

    def _run(self, runner: Runner, command: RunCommand) -> None:
        with self._lock:
            flag = self._flags[command.job.id]
            self._running = True
        try:
            runner.run(command.job, command.done_indices, self._channel.emit, flag, command.quota)
        finally:
            with self._lock:
                self._running = False
                self._flags.pop(command.job.id, None)
        self._tell_status(runner.status())
        self._tell_memory(runner.memory())
        hooks = runner.host.book.uses()
        if hooks != self._last_hooks:
            self._last_hooks = hooks
            self._channel.emit(WorkerHooks(hooks=hooks))

    def _obey(self, runner: Runner) -> NoReturn:
        """Commands on memory, while a job runs too: the cache touches nothing that is leased."""
        while True:
            command = self._orders.get()
            try:
                obey(command, runner.cache)
                self._tell_memory(runner.memory())
            except (RuntimeError, OSError):
                log.warning("%s was not carried out", command, exc_info=True)

    def _watch(self, runner: Runner) -> NoReturn:
        """While a job runs: held-back progress soon, the device's state now and then."""
        while True:
            time.sleep(FLUSH_INTERVAL_S)
            if not self._running:
                continue
            try:
                runner.flush()
                if time.monotonic() - self._status_at >= STATUS_INTERVAL_S:
                    self._tell_status(runner.status())
                    self._tell_memory(runner.memory())
            except (RuntimeError, OSError):  # a driver that cannot answer now must not end the watch
                log.debug("no status this time", exc_info=True)

    def _tell_status(self, status: DeviceStatus) -> None:
        self._status_at = time.monotonic()
        if status != self._last_status:
            self._last_status = status
            self._channel.emit(WorkerStatus(device=status))

    def _tell_memory(self, memory: MemorySnapshot) -> None:
        if memory != self._last_memory:
            self._last_memory = memory
            self._channel.emit(WorkerMemory(memory=memory))


def obey(command: MemoryCommand, cache: ModelCache) -> None:
    """Carry out a command on memory. An id that names nothing any more is no error: the entry went by itself."""
    if isinstance(command, PinCommand):
        cache.pin(command.entry_id, command.pinned)
    elif isinstance(command, BudgetCommand):
        cache.set_budget(command.budget_bytes or None)
    elif isinstance(command, UnloadCommand) and command.entry_id:
        cache.unload(command.entry_id)
    else:
        cache.clear()


def warm_up(runner: Runner) -> threading.Thread | None:
    """A thread, not yet started, that imports the pipelines a person is most likely to begin with: the built-in ones
    of the page's first tab.

    Extensions from elsewhere are imported when they are asked for and not before, so that one that hangs or crashes
    harms its own jobs alone.
    """
    builtin = {record.id for record in runner.host.extensions if record.builtin}
    tabs = [tab.id for tab in runner.host.tabs]
    specs = [spec for spec in runner.host.pipelines.values() if spec.extension in builtin and spec.tab in tabs[:1]]
    if not specs:
        return None

    def work() -> None:
        for spec in specs:
            runner.warm(spec)

    return threading.Thread(target=work, name="warm-up", daemon=True)


def build_runner(settings: Settings) -> Runner:
    """The runner with all it needs, as the settings say. Imports torch. Raises SetupError."""
    from webui.engine.device import configure_environment, configure_torch

    configure_environment(settings)
    configure_torch(settings)
    from webui.catalog.catalog import Catalog
    from webui.core.work_folders import remove_stale
    from webui.engine.runner import Runner
    from webui.library.files import LibraryFiles
    from webui.library.uploads import UploadStore
    from webui.plugins.host import ExtensionHost

    remove_stale(settings)
    host = ExtensionHost.load(settings)
    files = LibraryFiles(settings.library_dir, settings.image_format, settings.image_quality)

    @functools.cache
    def library() -> Library:
        # Opened when a job refers to a picture of the library: most never do.
        from webui.library.index import Index
        from webui.library.library import Library

        return Library(files, Index(settings.index_path))

    uploads = UploadStore(
        settings.uploads_dir,
        settings.max_upload_bytes,
        settings.max_image_pixels,
        lambda artifact_id: library().path(artifact_id),
    )
    return Runner(settings, host, files, uploads, Catalog(settings, host.model_kinds.values()))


def end_with_parent() -> None:
    """Have the kernel tell this process when its parent dies (Linux), for a worker that hangs with its input unread.

    The kernel means the thread that started us, which may end while its process lives: the handler looks whether it
    does. Where whoever started us asked for more already, nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    set_already = ctypes.c_int()
    libc.prctl(_PR_GET_PDEATHSIG, ctypes.byref(set_already), 0, 0, 0)
    if set_already.value:
        return
    parent = os.getppid()

    def told(number: int, frame: object) -> None:
        if os.getppid() != parent:
            leave(1)

    signal.signal(signal.SIGUSR2, told)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGUSR2), 0, 0, 0)
    if os.getppid() != parent:  # it died before the request was made
        leave(1)


def leave(status: int) -> NoReturn:
    """End now, whatever other threads do; files are written under temporary names, so none is left half done."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


def main() -> NoReturn:
    """Run a worker on this process's standard streams."""
    end_with_parent()
    channel = Channel.take()
    faulthandler.enable()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.captureWarnings(True)
    first = channel.read()
    if not first:
        leave(0)
    try:
        settings = Settings.model_validate_json(first)
        worker = Worker(channel)
        worker.listen()
        worker.serve(build_runner(settings))
    except KeyboardInterrupt:
        leave(130)
    except (LifelikeError, ValueError):
        log.exception("the worker cannot start")
        leave(2)


if __name__ == "__main__":
    main()
