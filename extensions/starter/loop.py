"""Middle of training: the loop that every stage shares: schedule, average, checkpoint, log, cancel."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .config import StageConfig, TrainingConfig
from .curve import save_curve
from .optimizer import Optimizers, rate_at


@dataclass(frozen=True)
class Hooks:
    """How a stage speaks to whoever runs it. `progress(step, steps, message)`; `check` raises to cancel."""

    progress: Callable[[int, int, str], None] = lambda step, steps, message: None
    check: Callable[[], None] = lambda: None


class Average:
    """Exponential moving average of a module's parameters, with the early steps' bias removed by a rising decay."""

    def __init__(self, modules: Iterable[nn.Module], decay: float) -> None:
        self.parameters = [p for m in modules for p in m.parameters()]
        self.values = [p.detach().clone() for p in self.parameters]
        self.decay = decay

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, [p.detach() for p in self.parameters], 1 - decay)

    def __enter__(self) -> Average:
        """Swap the averaged values in."""
        self._kept = [p.detach().clone() for p in self.parameters]
        self._assign(self.values)
        return self

    def __exit__(self, *exc: object) -> None:
        self._assign(self._kept)

    @torch.no_grad()
    def _assign(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)


def step_generator(seed: int, stage: str, step: int, device: str = "cpu") -> torch.Generator:
    """The randomness of one step, a function of its number alone: that is what makes resuming bit-exact."""
    mixed = (seed * 1_000_003 + step) * 97 + sum(stage.encode()) * 7919
    return torch.Generator(device).manual_seed(mixed % 2**63)


def save_atomic(data: object, path: Path) -> None:
    """torch.save to a temporary name, then replace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".tmp{os.getpid()}")
    torch.save(data, temporary)
    os.replace(temporary, path)


class Stage:
    """One training run of some modules: optimizer, average, checkpoint file, log lines.

    The caller's `loss_at(step)` builds step number `step`'s batch and returns its loss and named scalars.
    """

    def __init__(
        self,
        name: str,
        modules: dict[str, nn.Module],
        folder: Path,
        part: StageConfig,
        config: TrainingConfig,
    ) -> None:
        self.name, self.modules, self.folder = name, modules, folder
        self.steps, self.decay = part.steps, part.decay
        self.save_every, self.log_every = config.save_every, config.log_every
        self.average = Average(modules.values(), part.ema)
        self.optimizers = Optimizers(modules, part)
        self.step = 0
        self.checkpoint = folder / f"{name}.pt"

    def resume(self) -> bool:
        """Go on from the checkpoint where there is one. Raises RuntimeError where it belongs to another shape."""
        if not self.checkpoint.exists():
            return False
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        for key, module in self.modules.items():
            module.load_state_dict(state["modules"][key])
        self.optimizers.restore(state["optimizers"])
        for value, kept in zip(self.average.values, state["average"], strict=True):
            value.copy_(kept)
        self.step = int(state["step"])
        return True

    def save(self) -> None:
        state = {
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimizers": self.optimizers.state(),
            "average": self.average.values,
            "step": self.step,
        }
        save_atomic(state, self.checkpoint)
        log = self.folder / f"{self.name}.jsonl"
        if log.exists():
            save_curve(log, self.folder / f"curve-{self.name}.png")

    def run(
        self,
        loss_at: Callable[[int], tuple[Tensor, dict[str, float]]],
        hooks: Hooks,
        after: Callable[[int], None] = lambda step: None,
    ) -> None:
        """Train to the last step, saving on the way and when cancelled."""
        seen: list[float] = []
        began, first = time.monotonic(), self.step
        try:
            while self.step < self.steps:
                hooks.check()
                loss, scalars = loss_at(self.step)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(self.average.parameters, 1.0)
                if not math.isfinite(float(norm)):
                    raise RuntimeError(
                        f"stage {self.name}: the gradient is not finite at step {self.step}; lower the rate and go on "
                        f"from {self.checkpoint}"
                    )
                self.optimizers.step(rate_at(self.step, self.steps, self.decay))
                for parameter in self.average.parameters:
                    parameter.grad = None
                self.step += 1
                self.average.update(self.step)
                seen.append(float(loss.detach()))
                if self.step % self.log_every == 0 or self.step == self.steps:
                    pace = (time.monotonic() - began) / (self.step - first)
                    self._log(sum(seen) / len(seen), scalars, pace)
                    seen.clear()
                hooks.progress(self.step, self.steps, self.name)
                if self.step % self.save_every == 0 or self.step == self.steps:
                    self.save()
                after(self.step)
        except BaseException:
            # Only whole steps are kept: `step` counts a step once its update has been applied.
            if self.step > first:
                self.save()
            raise

    def _log(self, loss: float, scalars: dict[str, float], pace: float) -> None:
        line = {"stage": self.name, "step": self.step, "loss": round(loss, 5), "seconds_per_step": round(pace, 4)}
        line |= {k: round(v, 5) for k, v in scalars.items()}
        with (self.folder / f"{self.name}.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
