"""Hashes the models one after the other while nothing else is asked of the machine: a thread of the web process,
between the list of models and the table of hashes.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable

from webui.core.errors import Cancelled

from .catalog import Catalog

log = logging.getLogger(__name__)

REST = 2.0
"""How long it rests after each part, in times of what the part took: a third of one core and of the disk at most."""
FLUSH_S = 10.0
AGAIN_S = 60.0
"""How long it waits, once all is hashed, before it looks for new files in the list."""


class BackgroundHasher:
    """Started once; ``stop`` ends it within a part of a file. What was hashed is kept, a file half read is read again.

    ``busy`` is asked between parts: while it is true, nothing is read.
    """

    def __init__(
        self,
        catalog: Catalog,
        busy: Callable[[], bool] = lambda: False,
        *,
        rest: float = REST,
        again_s: float = AGAIN_S,
    ) -> None:
        self._catalog = catalog
        self._busy = busy
        self._rest, self._again_s = rest, again_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-hashes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        _lower_priority()
        try:
            while not self._stopped.is_set():
                self.hash_all()
                self._stopped.wait(self._again_s)
        except Cancelled:
            pass
        except Exception:  # a thread of its own: nobody else would tell
            log.exception("hashing of models in the background ended")
        finally:
            self._catalog.hashes.flush()

    def hash_all(self) -> int:
        """Hash every model that is listed and not hashed yet; how many that were. Raises Cancelled."""
        done, written = 0, time.monotonic()
        for entry in self._catalog.entries():
            if entry.sha256 or not entry.usable or entry.path is None:
                continue
            try:
                self._catalog.hashed(entry, write=False, pause=_Pause(self._stopped, self._busy, self._rest))
                done += 1
            except OSError as error:
                log.info("%s cannot be hashed: %s", entry.ref, error)
            if time.monotonic() - written > FLUSH_S:
                self._catalog.hashes.flush()
                written = time.monotonic()
        self._catalog.hashes.flush()
        return done


class _Pause:
    """Waits between two parts of a file. Raises Cancelled once ``stopped`` is set."""

    def __init__(self, stopped: threading.Event, busy: Callable[[], bool], rest: float) -> None:
        self._stopped, self._busy, self._rest = stopped, busy, rest
        self._since = time.monotonic()

    def __call__(self) -> None:
        took = time.monotonic() - self._since
        self._stopped.wait(min(1.0, took * self._rest))
        while not self._stopped.is_set() and self._busy():
            self._stopped.wait(0.5)
        if self._stopped.is_set():
            raise Cancelled
        self._since = time.monotonic()


def _lower_priority() -> None:
    """Give this thread what is left of the processor, where niceness is a thread's own."""
    if sys.platform == "linux":
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        except OSError:
            log.debug("the priority of hashing stays as it is")
