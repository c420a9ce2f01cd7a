"""The measuring side of training: pictures -> attributes, a small classifier with one head an attribute."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .config import JudgeConfig, TrainingConfig
from .data import HELD_OUT, avatars_at, labels, pictures
from .loop import Hooks, Stage, step_generator
from .world import SPEC, Avatar


class Judge(nn.Module):
    """float32 [N,3,H,W] in -1..1 (scaled to `size`) -> attribute -> logits float32 [N, values].

    `features` gives the float32 [N, 4 * width] in front of the heads.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size, self.width = size, width
        widths = (width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        before = 3
        for i, after in enumerate(widths):
            layers += [nn.Conv2d(before, after, 3, stride=1 if i else 2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
            if i:
                layers += [nn.Conv2d(after, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
            before = after
        self.trunk = nn.Sequential(*layers)
        # 4x4 places are kept: where something is (hat, mouth, shirt) tells what it is.
        side = size // 16
        self.mixer = nn.Sequential(nn.Linear(4 * width * side * side, 4 * width), nn.SiLU())
        self.heads = nn.ModuleDict({n: nn.Linear(4 * width, len(v)) for n, v in SPEC.items()})

    def features(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.size:
            images = functional.interpolate(images, size=(self.size, self.size), mode="area")
        return self.mixer(self.trunk(images).flatten(1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.features(images)
        return {name: head(features) for name, head in self.heads.items()}


def train_judge(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Judge:
    """Train or go on training on drawings made soft, noisy and shifted in colour; writes `folder`/judge."""
    part = config.judge
    torch.manual_seed(config.seed + 2)
    judge = Judge(part.size, part.width).to(config.device)
    stage = Stage(
        "judge",
        {"judge": judge},
        folder,
        rate=part.rate,
        steps=part.steps,
        decay=0.5,
        ema=0.99,
        save_every=config.save_every,
        log_every=config.log_every,
    )
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "judge", step)
        people = avatars_at(HELD_OUT // 4 + step * part.batch, part.batch)
        images = roughen(pictures(people, part.size), generator).to(config.device)
        with torch.autocast(images.device.type, torch.bfloat16):
            logits = judge(images)
        truth = labels(people)
        losses = [
            functional.cross_entropy(logits[n].float(), truth[n].to(config.device), ignore_index=-1) for n in SPEC
        ]
        return torch.stack(losses).sum(), {}

    stage.run(loss_at, hooks or Hooks())
    with stage.average:
        save_judge(judge, part, folder / "judge")
    return load_judge(folder / "judge")


def roughen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur some pictures and add noise, as an autoencoder does, so that the judge reads content and not crispness."""
    n = len(images)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand((n, 1, 1, 1), generator=generator)
    sigma = 0.08 * torch.rand((n, 1, 1, 1), generator=generator)
    return images + share * (soft - images) + sigma * torch.randn(images.shape, generator=generator)


def save_judge(judge: Judge, part: JudgeConfig, folder: Path) -> None:
    """Half-precision weights and a config.json that names the attributes in order."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.detach().half().cpu().contiguous() for k, v in judge.state_dict().items()}, folder / "model.safetensors"
    )
    about = {"architecture": "starter-judge", "size": part.size, "width": part.width, "attributes": SPEC}
    (folder / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def load_judge(folder: Path) -> Judge:
    """A judge in evaluation mode. Raises ValueError where it was trained for other attributes."""
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if {k: tuple(v) for k, v in about["attributes"].items()} != SPEC:
        raise ValueError(f"judge {folder}: its attributes differ from the drawing world's; train it again")
    judge = Judge(about["size"], about["width"])
    judge.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return judge.eval().requires_grad_(False)


@torch.no_grad()
def predictions(judge: Judge, images: Tensor) -> dict[str, Tensor]:
    """float32 [N,3,H,W] in -1..1 -> attribute -> int64 [N] indices into SPEC."""
    return {n: logits.argmax(1) for n, logits in judge(images).items()}


def accuracy(
    judge: Judge, images: Tensor, people: list[Avatar], settled: list[frozenset[str]] | None = None
) -> dict[str, float]:
    """Share of right answers for each attribute, over the pictures where it is visible (and settled by the caption)."""
    truth, found = labels(people), predictions(judge, images)
    scores = {}
    for name in SPEC:
        counted = truth[name] >= 0
        if settled is not None:
            counted &= torch.tensor([name in s for s in settled])
        if counted.any():
            scores[name] = float((found[name] == truth[name])[counted].float().mean())
    return scores
