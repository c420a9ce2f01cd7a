"""One worker process and the threads that serve its pipes, below SubprocessExecutor: lines in, lines out, and word of
its death.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_MAX_LINE_BYTES = 64 * 2**20
_MAX_LOG_BYTES = 5 * 2**20
_TAIL_BYTES = 4096
_TAIL_LINES = 15
_DRAIN_S = 2.0
_LIFELINE = Path(__file__).with_name("lifeline.py")


class WorkerProcess:
    """Starts at once and lives once. ``lines`` gives what it writes, a line each, and last of all None when it is dead.

    Three threads: one starts the process and waits for its end, one reads, one writes, so that neither a full pipe
    nor a child that keeps the pipe open can hold up a caller. ``_lock`` guards the process against a signal after its
    id was given back to the system.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log_path: Path) -> None:
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.epitaph = ""
        """How it ended, once ``lines`` gave None."""
        self.hint = ""
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._log_path = log_path
        self._log_start = 0
        self._to_write: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted_dead = False
        self._lock = threading.Lock()
        self._gone = threading.Event()
        threading.Thread(target=self._supervise, name="worker-supervisor", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """None before it started."""
        return self._process.pid if self._process is not None else None

    def write(self, line: str) -> None:
        """Queue one line for its standard input. Never blocks; lines for a dead process go nowhere."""
        self._to_write.put(line.encode() + b"\n")

    def kill(self) -> None:
        """Kill it and what it started; returns when it is gone, or after some seconds where the system cannot."""
        with self._lock:
            self._wanted_dead = True
            self._kill_group()
        self._gone.wait(10.0)

    def end(self, grace_s: float) -> None:
        """Close its standard input behind what is queued, wait ``grace_s`` seconds for its end, then kill it."""
        self._to_write.put(None)
        if not self._gone.wait(grace_s):
            self.kill()

    def last_words(self) -> list[str]:
        """The last lines it wrote to its log."""
        try:
            with self._log_path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - _TAIL_BYTES))
                return file.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError:
            return []

    # --- threads

    def _supervise(self) -> None:
        # Linux's death signal is bound to the thread that started the process, so this one does and stays until the
        # process is gone.
        try:
            process = self._spawn()
        except OSError as error:
            self.epitaph = f"the worker could not be started: {error}."
            self.hint = f"The command was: {' '.join(self._command)}"
        else:
            reader = threading.Thread(target=self._read, args=(process.stdout,), name="worker-reader", daemon=True)
            writer = threading.Thread(target=self._write, args=(process.stdin,), name="worker-writer", daemon=True)
            reader.start()
            writer.start()
            self._reap(process)
            self._to_write.put(None)
            # Behind a child that still holds the pipe there is nothing more to read.
            reader.join(_DRAIN_S)
            self.epitaph, self.hint = _describe_end(process.returncode)
        self._gone.set()
        self.lines.put(None)

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        if self._log_path.exists() and self._log_path.stat().st_size > _MAX_LOG_BYTES:
            os.replace(self._log_path, self._log_path.with_suffix(".1.log"))
        with self._log_path.open("ab") as stderr, self._lock:
            self._log_start = stderr.seek(0, os.SEEK_END)
            self._process = subprocess.Popen(
                _tied_to_us(self._command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._environment,
                # Its own group: Ctrl+C in the terminal is for the server alone, which ends its workers in order.
                start_new_session=True,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
            if self._wanted_dead:
                self._kill_group()
        return self._process

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        if sys.platform != "win32" and hasattr(os, "waitid"):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        else:
            process.wait()
        with self._lock:
            # Its children must not outlive it. Until it is waited for, nobody else can have its number.
            self._kill_group()
            process.wait()

    def _kill_group(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            # Not yet in its own group, or (macOS) a group with nothing left but the dead leader.
            process.kill()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            whole = True
            while line := pipe.readline(_MAX_LINE_BYTES):
                ends = line.endswith(b"\n")
                if whole and ends and not line.isspace():
                    self.lines.put(line)
                elif whole and not ends:
                    log.warning("the worker wrote a line without end, skipped: %.200r", line)
                whole = ends

    def _write(self, pipe: IO[bytes]) -> None:
        try:
            with pipe:
                while (line := self._to_write.get()) is not None:
                    pipe.write(line)
                    pipe.flush()
        except (OSError, ValueError) as error:
            log.debug("the worker no longer reads: %s", error)


def _tied_to_us(command: Sequence[str]) -> list[str]:
    if sys.platform.startswith("linux"):
        return [sys.executable, "-I", "-S", str(_LIFELINE), str(os.getpid()), *command]
    return list(command)


def _describe_end(status: int) -> tuple[str, str]:
    """(what happened, what to do) for an exit status as ``Popen`` gives it."""
    if status >= 0:
        return f"the worker ended with exit status {status}.", "The last lines of its log may say why."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    hint = "The last lines of its log may say why."
    if name == "SIGKILL":
        hint = "The system kills a process when memory runs out: a smaller picture, batch or model needs less."
    return f"the worker was ended by signal {name}.", hint
