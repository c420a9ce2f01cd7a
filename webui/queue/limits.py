"""What a worker may take of time and memory, as its dispatcher enforces it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from webui.core.settings import Settings

_OF_THE_MACHINE = 0.95
"""Of main memory, where no limit is set: beyond it everything on the machine stands still, the page too."""


@dataclass(frozen=True)
class Limits:
    """How long a dispatcher waits for what, and how large a worker may grow."""

    cancel_grace_s: float = 20.0
    """From the wish to cancel to the end of the worker."""
    start_s: float = 300.0
    """From the start of a worker to its first word of the job."""
    silence_s: float = 1800.0
    """Between two words of a job whose pipeline declares no time limit."""
    memory_bytes: int = 0
    """Of a worker's own main memory; 0: no limit."""
    stop_grace_s: float = 2.0
    """For the worker to end by itself when the server stops."""
    poll_s: float = 0.1
    """Between two looks at the limits while a job runs."""
    idle_s: float = 1.0
    """Between two looks at the queue while nothing was heard of a new job."""


USUAL = Limits()


def limits_of(settings: Settings) -> Limits:
    """As they are set."""
    memory_bytes = settings.memory_limit_bytes or int(psutil.virtual_memory().total * _OF_THE_MACHINE)
    return Limits(cancel_grace_s=settings.cancel_grace_s, silence_s=settings.silence_s, memory_bytes=memory_bytes)


def own_bytes(pid: int) -> int:
    """Main memory that nothing but the process ``pid`` fills; 0 where that cannot be told. On Linux without the pages
    of files, which the system takes back when it needs room: mapped weights are no burden.
    """
    try:
        if sys.platform.startswith("linux"):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return int(psutil.Process(pid).memory_info().rss)
    except (OSError, ValueError, psutil.Error):
        return 0
