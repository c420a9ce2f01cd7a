"""How often each extension's hooks were called, how long they took and how they failed: kept by the host in each
process, told by the worker, shown in the Extensions tab.
"""

from __future__ import annotations

import threading
import time

from pydantic import BaseModel, ConfigDict

_LONGEST_ERROR = 500


class HookUse(BaseModel):
    """One hook of one extension in one process."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    extension: str
    hook: str
    calls: int = 0
    seconds: float = 0.0
    failures: int = 0
    suspended: bool = False
    """Left out since it failed three times in a row, until the worker starts again."""
    last_error: str = ""
    last_error_at: float | None = None
    """Seconds since 1970."""


class HookBook:
    """The uses of one process. ``_lock`` guards them and is the innermost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[tuple[str, str], HookUse] = {}

    def add(self, extension: str, hook: str, seconds: float, error: BaseException | None = None) -> None:
        """One call."""
        with self._lock:
            use = self._uses.get((extension, hook), HookUse(extension=extension, hook=hook))
            change: dict[str, object] = {"calls": use.calls + 1, "seconds": use.seconds + seconds}
            if error is not None:
                said = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
                change |= {"failures": use.failures + 1, "last_error": said, "last_error_at": time.time()}
            self._uses[extension, hook] = use.model_copy(update=change)

    def suspend(self, extension: str, hook: str) -> None:
        """It is left out from now on."""
        with self._lock:
            use = self._uses.get((extension, hook), HookUse(extension=extension, hook=hook))
            self._uses[extension, hook] = use.model_copy(update={"suspended": True})

    def uses(self) -> tuple[HookUse, ...]:
        """Every hook that was called, by extension and name."""
        with self._lock:
            return tuple(use for _, use in sorted(self._uses.items()))
