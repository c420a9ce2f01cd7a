"""Middle of training: one network's steps, with an average of its weights, a checkpoint to go on from, a log, a curve
and a sheet of samples.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from extensions.restoration.networks.unet import TASKS, SmallUNet
from extensions.restoration.pictures.arrays import Pixels
from extensions.restoration.recognise import TASK_KEY

from .batches import batch_of
from .sheets import sheet

LOG_EVERY, SAVE_EVERY = 25, 200
_DECAY_SHARE = 0.5
"""Of the steps, at the end, in which the rate falls to zero."""


@dataclass(frozen=True)
class Plan:
    """One network's training."""

    task: str
    steps: int
    batch: int = 16
    crop: int = 64
    rate: float = 3e-3
    seed: int = 0


def train(
    plan: Plan,
    pool: Sequence[Pixels],
    held_out: Sequence[Pixels],
    folder: Path,
    progress: Callable[[int, int, str], None] = lambda step, steps, message: None,
) -> Path:
    """Train or go on training; the weights in half precision are ``folder``/``<task>.safetensors``. ``progress`` may
    raise to stop: whole steps are kept.
    """
    torch.manual_seed(plan.seed)
    model = SmallUNet(TASKS[plan.task])
    average = SmallUNet(TASKS[plan.task])
    average.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.rate, betas=(0.9, 0.98), weight_decay=1e-4)
    checkpoint, log = folder / f"{plan.task}.pt", folder / f"{plan.task}.jsonl"
    step = _resume(checkpoint, model, average, optimizer)
    seen: list[float] = []
    began, first = time.process_time(), step
    try:
        while step < plan.steps:
            seen.append(_step(plan, model, average, optimizer, pool, step))
            step += 1
            if step % LOG_EVERY == 0 or step == plan.steps:
                pace = (time.process_time() - began) / (step - first)
                _log(log, {"stage": plan.task, "step": step, "loss": round(float(np.mean(seen)), 5), "cpu_s": pace})
                seen.clear()
            if step % SAVE_EVERY == 0 or step == plan.steps:
                _save(checkpoint, model, average, optimizer, step)
                _curve(log, folder / f"curve-{plan.task}.png")
                sheet(plan.task, average, held_out).save(folder / f"{plan.task}-{step:06d}.png")
            progress(step, plan.steps, plan.task)
    except BaseException:
        if step > first:
            _save(checkpoint, model, average, optimizer, step)
        raise
    target = folder / f"{plan.task}.safetensors"
    save_weights(average, target, plan.task)
    return target


def save_weights(model: nn.Module, path: Path, task: str) -> None:
    """float16 safetensors that say what they are for, by way of a temporary file."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    weights = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, temporary, metadata={TASK_KEY: task})
    os.replace(temporary, path)


def loss_of(task: str, made: Tensor, truth: Tensor) -> Tensor:
    """Charbonnier's penalty (Lai et al. 2017) on pictures, a smooth L1 on colours, cross-entropy on scratches."""
    if task == "scratches":
        weight = torch.where(truth > 0, 3.0, 1.0)
        return functional.binary_cross_entropy_with_logits(made, truth, weight=weight)
    return ((made - truth).square() + 1e-6).sqrt().mean()


def _step(
    plan: Plan,
    model: SmallUNet,
    average: SmallUNet,
    optimizer: torch.optim.Optimizer,
    pool: Sequence[Pixels],
    step: int,
) -> float:
    """One step of the optimizer and of the average; the loss."""
    for group in optimizer.param_groups:
        left = (plan.steps - step) / max(1.0, plan.steps * _DECAY_SHARE)
        group["lr"] = plan.rate * min(1.0, left, (step + 1) / 50)
    inputs, truth = batch_of(plan.task, pool, plan.seed, step, plan.batch, plan.crop)
    loss = loss_of(plan.task, model(inputs), truth)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    if not torch.isfinite(norm):
        raise RuntimeError(f"training {plan.task}: the gradient is not finite at step {step}; lower the rate")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    decay = min(0.998, (1 + step) / (10 + step))
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
    return float(loss.detach())


def _resume(checkpoint: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(checkpoint: Path, model: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    temporary = checkpoint.with_suffix(f".tmp{os.getpid()}")
    torch.save(state, temporary)
    os.replace(temporary, checkpoint)


def _log(log: Path, line: dict[str, object]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _curve(log: Path, target: Path) -> None:
    """The loss over the steps as a picture."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    image = Image.new("RGB", (640, 360), "white")
    pen = ImageDraw.Draw(image)
    high = max(row["loss"] for row in rows) or 1.0
    last = max(row["step"] for row in rows)
    points = [(50 + 570 * row["step"] / last, 330 - 290 * row["loss"] / high) for row in rows]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = 330 - 290 * share
        pen.line([(50, y), (620, y)], fill=(222, 222, 230))
        pen.text((44, y), f"{high * share:.3g}", fill="black", anchor="rm")
    pen.text((50, 12), f"{rows[-1]['stage']}: loss, {last} steps", fill="black")
    if len(points) > 1:
        pen.line(points, fill=(44, 98, 190), width=2)
    image.save(target)
