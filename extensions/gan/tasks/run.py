"""One whole run: the loop, and at each report a sheet, its distance to the data, curves, the best weights so far."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from extensions.gan.formats.own import write_own
from extensions.gan.training import curves
from extensions.gan.training.frechet import Moments, frechet_distance
from extensions.gan.training.loop import Hooks, Loop, write_atomic
from extensions.gan.training.watch import Watch

from .choosing import task_for
from .common import Setting

MODEL, BEST, CURVE = "model.safetensors", "best.safetensors", "curve.png"
_REAL_SEED = 7


@dataclass(frozen=True)
class Measure:
    """What compares pictures: ``features`` of float [N,3,R,R] in -1..1 are float32 [N,D]. ``title``: FD-<network>."""

    features: Callable[[Tensor], np.ndarray]
    title: str
    count: int


@dataclass(frozen=True)
class Report:
    """What is told at a report."""

    step: int
    place: int
    """Which report it is, from 0."""
    sheet: Image.Image
    curve: Image.Image
    row: Mapping[str, Any]


class Run:
    """In a folder of its own, which holds all that it makes: checkpoint, log, sheets, curves, models."""

    def __init__(
        self,
        setting: Setting,
        folder: Path,
        *,
        reports: int,
        title: str = "",
        save_every: int = 500,
        half: bool = True,
        measure: Measure | None = None,
        step: Callable[[int, int, float], None] = lambda step, steps, pace: None,
        report: Callable[[Report], None] = lambda told: None,
        warn: Callable[[str], None] = lambda words: None,
    ) -> None:
        """``title``: of the model that it becomes; the recipe's where there is none."""
        self.setting, self.folder, self.half, self.measure = setting, folder, half, measure
        self.title = title or setting.recipe.title
        self.every = max(1, math.ceil(setting.steps / reports))
        self.task = task_for(setting)
        self._report, self._warn, self._watch = report, warn, Watch()
        self._real: Moments | None = None
        rows = np.random.default_rng(_REAL_SEED).permutation(len(setting.data))[:256]
        self._spread = _spread(setting.data.images(rows))
        self.loop = Loop(
            self.task,
            setting.machine,
            folder,
            setting.steps,
            setting.recipe.batch,
            Hooks(step=step, every=self._every, warn=warn),
            log_every=max(1, min(20, self.every)),
            save_every=save_every,
            report_every=self.every,
        )

    @property
    def reports(self) -> int:
        """How many there are in all."""
        return math.ceil(self.setting.steps / self.every)

    def run(self) -> bool:
        """To the end; whether it went on from a checkpoint. Raises as ``Loop.run``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        went_on = self.loop.resume()
        self.loop.run()
        return went_on

    def _every(self, step: int) -> None:
        if not self.setting.machine.main:
            self.setting.machine.wait()
            return
        images = self.task.shown()
        sheet = sheet_of(images)
        row: dict[str, Any] = {"step": step, "diversity": _spread(images.float().cpu())}
        if self.task.settled:
            for words in self._watch.diversity(step, "pixels", row["diversity"], self._spread):
                self._warn(words)
            if self.measure is not None:
                row |= self._measured(step, self.measure)
        self.loop.log(row)
        drawn = curves.drawn(self.loop.rows())
        sheets = self.folder / "sheets"
        write_atomic(sheets / f"step-{step:07d}.png", lambda path: sheet.save(path, "PNG"))
        write_atomic(self.folder / CURVE, lambda path: drawn.save(path, "PNG"))
        self._keep(step, row.get("distance"))
        self._report(Report(step, (step + self.every - 1) // self.every - 1, sheet, drawn, row))
        self.setting.machine.wait()

    def _measured(self, step: int, measure: Measure) -> dict[str, float]:
        data = self.setting.data
        if self._real is None:
            rows = np.sort(np.random.default_rng(_REAL_SEED).permutation(len(data))[: max(measure.count, 256)])
            self._real = Moments.of(measure.features(data.images(rows)))
        made = Moments.of(measure.features(self.task.draw(measure.count, self.setting.seed + 1)))
        for words in self._watch.diversity(step, "features", made.spread, self._real.spread):
            self._warn(words)
        return {"distance": frechet_distance(self._real, made), "spread": made.spread / self._real.spread}

    def _keep(self, step: int, distance: float | None) -> None:
        """The model as it is now, and among all so far the one with the least distance."""
        network, config = self.task.finished()
        told = {**config, "title": self.title}
        write_own(self.folder / MODEL, network, self.setting.recipe.family, told, half=self.half)
        before = [row["distance"] for row in self.loop.rows() if "distance" in row and row["step"] < step]
        if distance is not None and (not before or distance < min(before)):
            write_atomic(self.folder / BEST, lambda path: shutil.copyfile(self.folder / MODEL, path))

    def kept(self, best: bool) -> tuple[Path, dict[str, Any]]:
        """The file of the model that is kept, and the report that belongs to it."""
        rows = [row for row in self.loop.rows() if "diversity" in row]
        measured = [row for row in rows if "distance" in row]
        if best and measured and (self.folder / BEST).is_file():
            return self.folder / BEST, min(measured, key=lambda row: row["distance"])
        return self.folder / MODEL, rows[-1]


def _spread(images: Tensor) -> float:
    """How different pictures are: the standard deviation of each value over the pictures, their mean."""
    return float(images.std(0).mean()) if len(images) > 1 else 0.0


def sheet_of(images: Tensor, gap: int = 2) -> Image.Image:
    """float [N,3,R,R] in about -1..1 -> one picture, as square as may be."""
    pixels = (images.float() * 127.5 + 128).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    columns = math.ceil(math.sqrt(len(pixels)))
    edge = pixels.shape[1] + gap
    sheet = Image.new("RGB", (columns * edge - gap, -(-len(pixels) // columns) * edge - gap), (255, 255, 255))
    for place, one in enumerate(pixels):
        sheet.paste(Image.fromarray(one), (place % columns * edge, place // columns * edge))
    return sheet
