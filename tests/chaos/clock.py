"""A clock that can be set while a server and its workers run: Python's own, shifted by what a file says."""

from __future__ import annotations

from pathlib import Path

# Interpreters import it at their start. Files keep the machine's time, as a shared folder's may differ from it too.
SITECUSTOMIZE = """
import time

real, real_ns = time.time, time.time_ns


def shift_s():
    try:
        with open({place!r}) as file:
            return int(file.read() or 0)
    except OSError:
        return 0


time.time = lambda: real() + shift_s()
time.time_ns = lambda: real_ns() + shift_s() * 10**9
"""


class Clock:
    """Of the processes whose PYTHONPATH begins with ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place = folder / "shift_s"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE.format(place=str(self._place)), encoding="utf-8")

    def jump(self, shift_s: int) -> None:
        """From now on the clock is ``shift_s`` off."""
        fresh = self._place.with_suffix(".new")
        fresh.write_text(str(shift_s))
        fresh.replace(self._place)
