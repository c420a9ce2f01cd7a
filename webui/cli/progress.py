"""A job's progress as a bar on standard error, for people who watch a terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from webui.core.jobs import JobProgress, JobWarning, Progress

WIDTH = 30


class Bar:
    """Draws in place on a terminal; elsewhere it writes a line for each tenth of the way."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._in_place = self._stream.isatty()
        self._tenths = -1
        self._drawn = False

    def show(self, event: object) -> None:
        """Take any event of a job; those of no interest are passed over."""
        if isinstance(event, JobProgress):
            self._draw(event.progress)
        elif isinstance(event, JobWarning):
            self.close()
            self._stream.write(f"note: {event.message}\n")

    def _draw(self, progress: Progress) -> None:
        line = bar_line(progress)
        if self._in_place:
            self._stream.write(f"\r\x1b[2K{line}")
            self._drawn = True
        elif int(progress.fraction * 10) > self._tenths:
            self._tenths = int(progress.fraction * 10)
            self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """End the line that is being drawn."""
        if self._drawn:
            self._stream.write("\n")
            self._drawn = False


def bar_line(progress: Progress) -> str:
    """One line: bar, per cent, step, image, time left."""
    full = round(WIDTH * min(max(progress.fraction, 0.0), 1.0))
    parts = [f"[{'#' * full}{'-' * (WIDTH - full)}] {progress.fraction:4.0%}"]
    if progress.steps:
        parts.append(f"step {progress.step}/{progress.steps}")
    if progress.images > 1:
        parts.append(f"image {min(progress.image + 1, progress.images)}/{progress.images}")
    if progress.eta_s is not None:
        parts.append(f"{progress.eta_s:.0f} s left")
    if progress.message:
        parts.append(progress.message)
    return "  ".join(parts)
