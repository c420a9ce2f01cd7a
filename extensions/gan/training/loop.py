"""Middle of training: steps, log, checkpoints, going on. What a step is, a ``Task`` knows."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from .machine import Machine, finite
from .watch import Watch

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


class Task(Protocol):
    """What is trained. Everything random in ``step`` follows from its number."""

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """Those whose numbers must stay finite."""

    def step(self, step: int) -> Mapping[str, Tensor]:
        """One update of the weights; scalars for the log, not yet read from the device."""

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, from which ``restore`` makes the same task."""

    def restore(self, state: Mapping[str, Any]) -> None: ...


class Diverged(Exception):
    """The weights or a loss are no numbers any more."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"step {step}: {what}")
        self.step, self.what = step, what


@dataclass(frozen=True)
class Hooks:
    """How a run speaks to whoever started it. ``step(step, steps, pictures a second)`` may raise to stop the run."""

    step: Callable[[int, int, float], None] = lambda step, steps, pace: None
    every: Callable[[int], None] = lambda step: None
    """After each step that is a multiple of ``Loop.report_every``, and after the last."""
    warn: Callable[[str], None] = lambda words: None


@dataclass
class Loop:
    """One run in ``folder``. Only whole steps are ever kept."""

    task: Task
    machine: Machine
    folder: Path
    steps: int
    batch: int
    hooks: Hooks = field(default_factory=Hooks)
    log_every: int = 20
    save_every: int = 500
    report_every: int = 500
    step: int = 0

    def resume(self) -> bool:
        """Go on from the checkpoint where there is one. Raises RuntimeError, KeyError where it is of another shape."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        state = torch.load(path, map_location=self.machine.device, weights_only=True)
        self.task.restore(state["task"])
        self.step = int(state["step"])
        if self.machine.main:
            self._cut_log()
        return True

    def run(self) -> None:
        """To the last step. Raises Diverged, and what the hooks raise, with a checkpoint of the last whole step."""
        watch, began, first = Watch(), time.monotonic(), self.step
        sums: dict[str, Tensor] = {}
        count, saved = 0, self.step
        whole = True
        try:
            while self.step < self.steps:
                whole = False
                told = self.task.step(self.step)
                self.step += 1
                whole = True
                count += 1
                for name, value in told.items():
                    sums[name] = sums[name] + value.detach() if name in sums else value.detach()
                if self.step % self.log_every == 0 or self.step == self.steps:
                    self._tell(sums, count, watch)
                    sums, count = {}, 0
                if self.step % self.save_every == 0 or self.step == self.steps:
                    self.save()
                    saved = self.step
                if self.step % self.report_every == 0 or self.step == self.steps:
                    self.hooks.every(self.step)
                pace = (self.step - first) * self.batch / max(time.monotonic() - began, 1e-9)
                self.hooks.step(self.step, self.steps, pace)
        except Diverged:
            raise
        except BaseException:
            if whole and self.step > saved and finite(self.task.modules.values()):
                self.save()
            raise

    def save(self) -> None:
        """Write the checkpoint, all or nothing. Raises Diverged rather than keep what is no number."""
        if not finite(self.task.modules.values()):
            raise Diverged(self.step, "the weights are not finite")
        state = {"task": self.task.state(), "step": self.step}
        if self.machine.main:
            write_atomic(self.folder / CHECKPOINT, lambda path: torch.save(state, path))

    def _tell(self, sums: Mapping[str, Tensor], count: int, watch: Watch) -> None:
        row: dict[str, Any] = {"step": self.step, "pictures": self.step * self.batch}
        for name, value in sums.items():
            row[name] = float(self.machine.mean(value / count))
            if not math.isfinite(row[name]):
                raise Diverged(self.step, f"{name.replace('_', ' ')} is not finite")
        if self.machine.main:
            self.log(row)
            for words in watch.losses(row):
                self.hooks.warn(words)

    def log(self, row: Mapping[str, Any]) -> None:
        """One line."""
        shown = {name: round(v, 6) if isinstance(v, float) else v for name, v in row.items()}
        with (self.folder / LOG).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(shown) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """What was logged so far."""
        return read_log(self.folder)

    def _cut_log(self) -> None:
        """Without lines that lie beyond the checkpoint: those steps are done again."""
        kept = [row for row in self.rows() if row["step"] <= self.step]
        text = "".join(json.dumps(row) + "\n" for row in kept)
        write_atomic(self.folder / LOG, lambda path: path.write_text(text, encoding="utf-8"))


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; a line that was cut off is passed over."""
    found = []
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def write_atomic(path: Path, write: Callable[[Path], Any]) -> None:
    """``write`` to a temporary name, then replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
