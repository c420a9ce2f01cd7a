"""From a pipeline's steps to what people see: how far the job is, how long it still takes, and pictures in the
making.
"""

from __future__ import annotations

import base64
import io
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from webui.core.errors import Cancelled
from webui.core.jobs import JobPreview, JobProgress, Progress

if TYPE_CHECKING:
    from PIL.Image import Image

PROGRESS_INTERVAL_S = 0.1
"""Steps of small models pass by the hundred a second; nobody reads more than ten."""
_SPEED_WINDOW = 24
"""Steps over which speed is measured: the first ones, which warm up kernels, are soon forgotten."""
_SPEED_WINDOW_OF_RUNS = 480
"""The same where a job is made of runs: one of them alone says little of the others."""
_PREVIEW_EDGE_PX = 512
_PREVIEW_QUALITY = 80
_PREVIEW_SHARE = 0.05
"""Most of a job's time that making previews may take."""

log = logging.getLogger(__name__)


class ProgressMeter:
    """Turns steps and finished images into ``Progress`` events, at most ten a second, the latest always told in the
    end.

    The fraction never goes back, whatever stages a pipeline passes through. Thread-safe: a timer may call ``flush``.
    """

    def __init__(
        self,
        job_id: str,
        emit: Callable[[JobProgress], None],
        clock: Callable[[], float] = time.monotonic,
        interval_s: float = PROGRESS_INTERVAL_S,
    ) -> None:
        self._job_id = job_id
        self._emit = emit
        self._clock = clock
        self._interval_s = interval_s
        self._lock = threading.Lock()
        # Guards all that follows; held while emitting, so that progress is told in its order.
        self._images = 0
        self._finished = 0
        self._done: set[int] = set()
        self._weights: Sequence[float] = ()
        self._fraction = 0.0
        self._latest = Progress()
        self._told = True
        self._told_at = float("-inf")
        self._speed: deque[tuple[float, float]] = deque(maxlen=_SPEED_WINDOW)

    def expect(self, images: int, finished: int, *, done: Collection[int] = (), weights: Sequence[float] = ()) -> None:
        """The job makes ``images`` in all, of which ``finished`` are there: those of the indices ``done``.

        ``weights``: the share of the work that each takes, where they differ; in any unit.
        """
        with self._lock:
            self._images, self._finished = images, finished
            self._done = set(done)
            self._weights = weights if len(weights) == images and sum(weights) > 0 else ()
            self._fraction = self._share(self._done) if self._weights else finished / images if images else 0.0
            self._latest = Progress(image=finished, images=images, fraction=self._fraction)
            self._speed.clear()
            self._speed.append((self._clock(), self._fraction))
            self._tell()

    def step(self, step: int, steps: int, message: str = "", batch: int = 1) -> None:
        """``step`` of ``steps`` of ``batch`` images made together."""
        within = min(max(step / steps, 0.0), 1.0) if steps > 0 else 0.0
        with self._lock:
            if self._weights:
                fraction = self._share(self._done)
            elif self._images:
                ahead = min(max(batch, 1), self._images - self._finished)
                fraction = (self._finished + ahead * within) / self._images
            else:
                fraction = within
            self._at(step, steps, fraction, message)

    def fold(self, inner: Progress, indices: range) -> None:
        """How far a run within this job is, which makes the images ``indices`` of it."""
        with self._lock:
            if self._speed.maxlen == _SPEED_WINDOW:
                self._speed = deque(self._speed, maxlen=_SPEED_WINDOW_OF_RUNS)
            fraction = self._fraction
            if self._images:
                others = self._done.difference(indices)
                fraction = self._share(others) + self._share(indices) * inner.fraction
            self._at(inner.step, inner.steps, fraction, inner.message)

    def _share(self, indices: Collection[int]) -> float:
        """Of the whole job's work, what these images are."""
        if not self._weights:
            return len(indices) / self._images
        known = (self._weights[index] for index in indices if index < len(self._weights))
        return sum(known) / sum(self._weights)

    def _at(self, step: int, steps: int, fraction: float, message: str) -> None:
        stage_changed = message != self._latest.message or steps != self._latest.steps
        self._note(fraction)
        self._latest = Progress(
            step=step,
            steps=steps,
            image=self._finished,
            images=self._images,
            fraction=self._fraction,
            eta_s=self._eta(),
            message=message,
        )
        self._told = False
        due = self._clock() - self._told_at >= self._interval_s
        if due or stage_changed or step >= steps:
            self._tell()

    def image_saved(self, index: int) -> None:
        """One more image is finished, that of ``index``."""
        with self._lock:
            self._finished += 1
            self._done.add(index)
            self._images = max(self._images, self._finished) if self._images else 0
            if self._images:
                self._note(self._share(self._done) if self._weights else self._finished / self._images)
            self._latest = self._latest.model_copy(
                update={
                    "image": self._finished,
                    "images": self._images,
                    "fraction": self._fraction,
                    "eta_s": self._eta(),
                }
            )
            self._tell()

    def flush(self) -> None:
        """Tell what was held back, if anything."""
        with self._lock:
            if not self._told:
                self._tell()

    @property
    def finished(self) -> int:
        """Images that are there, those of an earlier attempt included."""
        return self._finished

    @property
    def images(self) -> int:
        """Images that the job makes in all; 0 while the pipeline has not said."""
        return self._images

    def _note(self, fraction: float) -> None:
        if fraction > self._fraction:
            self._fraction = min(fraction, 1.0)
            self._speed.append((self._clock(), self._fraction))

    def _eta(self) -> float | None:
        if len(self._speed) < 3:
            return None  # between the announcement and the first step a model may be loaded
        (began, low), (ended, high) = self._speed[0], self._speed[-1]
        return round((1.0 - self._fraction) * (ended - began) / (high - low), 2) if high > low else None

    def _tell(self) -> None:
        self._told, self._told_at = True, self._clock()
        self._emit(JobProgress(job_id=self._job_id, progress=self._latest))


class PreviewGate:
    """Lets previews through no more often than allowed and affordable, and takes turns between images made together."""

    def __init__(
        self,
        job_id: str,
        emit: Callable[[JobPreview], None],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._job_id = job_id
        self._emit = emit
        self._interval_s = interval_s
        self._clock = clock
        self._due_at = float("-inf")
        self._shown: dict[int, int] = {}
        self._turn = 0
        self._passed_over = 0
        self._broken = ""

    def offer(self, make: Image | Callable[[], Image], index: int) -> str:
        """Show the picture if one is due. Answers what went wrong the first time something does, else an empty text.

        A preview that cannot be made costs the job its previews, not its pictures. Raises Cancelled when ``make`` does.
        """
        began = self._clock()
        self._shown.setdefault(index, 0)
        if self._broken or began < self._due_at or not self._has_turn(index):
            return ""
        try:
            picture = make() if callable(make) else make
            event = JobPreview(job_id=self._job_id, index=index, data=encode_preview(picture))
        except Cancelled:
            raise
        except Exception as error:
            log.warning("previews of job %s end here", self._job_id, exc_info=True)
            self._broken = f"previews failed and were turned off for this job: {type(error).__name__}: {error}"
            return self._broken
        self._emit(event)
        ended = self._clock()
        self._due_at = ended + max(self._interval_s - (ended - began), (ended - began) / _PREVIEW_SHARE)
        return ""

    def images_changed(self) -> None:
        """An image is finished: the next ones are others."""
        self._shown.clear()

    def _has_turn(self, index: int) -> bool:
        """Whether no other image in the making has waited longer; one that is no longer offered is forgotten."""
        if self._shown[index] > min(self._shown.values()) and self._passed_over < len(self._shown):
            self._passed_over += 1
            return False
        if self._passed_over >= len(self._shown):
            self._shown.clear()
        self._passed_over = 0
        self._turn += 1
        self._shown[index] = self._turn
        return True


class ShiftedPreviews:
    """The gate of a job for a run within it, whose image 0 is image ``offset`` of the job."""

    def __init__(self, gate: PreviewGate | ShiftedPreviews, offset: int) -> None:
        self._gate = gate
        self._offset = offset

    def offer(self, make: Image | Callable[[], Image], index: int) -> str:
        """See ``PreviewGate.offer``."""
        return self._gate.offer(make, self._offset + index)

    def images_changed(self) -> None:
        """See ``PreviewGate.images_changed``."""
        self._gate.images_changed()


def encode_preview(picture: Image) -> str:
    """Base64 of a JPEG of at most 512 px a side."""
    small = picture.convert("RGB")
    small.thumbnail((_PREVIEW_EDGE_PX, _PREVIEW_EDGE_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_PREVIEW_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
