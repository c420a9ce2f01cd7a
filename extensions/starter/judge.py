"""The measuring side of training: pictures -> attributes, a small classifier with one head an attribute.

Its penultimate layer is the feature network behind the measures that compare sets of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .config import JudgeConfig, TrainingConfig
from .data import HELD_OUT, labels, pictures, settled_heads, subjects_at
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .warm import copy_fitting
from .world import SHARED, Subject, heads

_MEASURED_FROM = HELD_OUT + 1_000_000


class Judge(nn.Module):
    """float32 [N,3,H,W] in -1..1 (scaled to `size`) -> head -> logits float32 [N, values].

    `features` gives the float32 [N, D] in front of the heads, D = 4 * width. Heads are named as world.heads names them.
    """

    def __init__(self, size: int, width: int, attributes: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.size, self.width = size, width
        self.attributes = {n: tuple(v) for n, v in attributes.items()}
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
        self.heads = nn.ModuleDict({_key(n): nn.Linear(4 * width, len(v)) for n, v in self.attributes.items()})

    @property
    def feature_count(self) -> int:
        """D, the number of features."""
        return 4 * self.width

    def scaled(self, images: Tensor) -> Tensor:
        """Pictures at the size that the network reads, by the mean over areas."""
        if images.shape[-1] == self.size:
            return images
        return functional.interpolate(images, size=(self.size, self.size), mode="area")

    def features(self, images: Tensor) -> Tensor:
        """float32 [N,3,H,W] in -1..1 -> float32 [N, D]."""
        return self.mixer(self.trunk(self.scaled(images)).flatten(1))

    def layers(self, images: Tensor) -> list[Tensor]:
        """float32 [N,3,H,W] in -1..1 -> each nonlinearity of the trunk, float32 [N,C,h,w], fine to coarse."""
        x, found = self.scaled(images), []
        for layer in self.trunk:
            x = layer(x)
            if isinstance(layer, nn.SiLU):
                found.append(x)
        return found

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.told(self.features(images))

    def told(self, features: Tensor) -> dict[str, Tensor]:
        """float32 [N, D] -> head -> logits float32 [N, values]."""
        return {n: self.heads[_key(n)](features) for n in self.attributes}


def _key(head: str) -> str:
    """A head's name as a module may be named: without the dot."""
    return head.replace(".", "_")


def train_judge(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Judge:
    """Train or go on training on drawings made soft and noisy; writes `folder`/judge."""
    part = config.judge
    torch.manual_seed(config.seed + 2)
    judge = Judge(part.size, part.width, heads())
    if config.start_folder is not None:
        copy_fitting(judge, load_judge(config.start_folder / "judge").state_dict())
    judge.to(config.device)
    stage = Stage("judge", {"judge": judge}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "judge", step)
        subjects = subjects_at(HELD_OUT // 4 + step * part.batch, part.batch)
        # Drawn as large as the pictures that it will judge: a halftone or a pixel reduced is not one drawn small.
        images = roughen(pictures(subjects, config.size), generator).to(config.device)
        with mixed(images.device):
            logits = judge(images)
        # A batch may show a head's attribute nowhere; such a head has nothing to learn from it.
        truth = {n: t for n, t in labels(subjects).items() if (t >= 0).any()}
        losses = [
            functional.cross_entropy(logits[n].float(), t.to(config.device), ignore_index=-1) for n, t in truth.items()
        ]
        return torch.stack(losses).sum(), {}

    stage.run(loss_at, hooks or Hooks())
    with stage.average:
        own = judge_accuracy(judge.eval(), part.held_out, config.size)
        save_judge(judge, part, folder / "judge", own)
    return load_judge(folder / "judge")


def roughen(images: Tensor, generator: torch.Generator) -> Tensor:
    """Blur some pictures and add noise, as an autoencoder does, so that the judge reads content and not crispness."""
    n = len(images)
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    share = torch.rand((n, 1, 1, 1), generator=generator)
    sigma = 0.08 * torch.rand((n, 1, 1, 1), generator=generator)
    return images + share * (soft - images) + sigma * torch.randn(images.shape, generator=generator)


def save_judge(judge: Judge, part: JudgeConfig, folder: Path, held_out: Mapping[str, float]) -> None:
    """Half-precision weights, and a config.json with the heads in order and their accuracy on held-out drawings."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {k: v.detach().half().cpu().contiguous() for k, v in judge.state_dict().items()}, folder / "model.safetensors"
    )
    about = {
        "architecture": "starter-judge",
        "size": part.size,
        "width": part.width,
        "features": judge.feature_count,
        "attributes": judge.attributes,
        "held_out_accuracy": {"mean": round(mean(held_out), 4), **{n: round(v, 4) for n, v in held_out.items()}},
    }
    (folder / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def load_judge(folder: Path) -> Judge:
    """A judge in evaluation mode, with the heads it was trained for: those of the world, or fewer, or of fewer values.

    Raises ValueError where a head is none of the world's or counts its values in another order.
    """
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    attributes = {_qualified(n): tuple(v) for n, v in about["attributes"].items()}
    for name, values in attributes.items():
        if heads().get(name, ())[: len(values)] != values:
            raise ValueError(
                f"judge {folder}: its attribute {name} with values {', '.join(values)} differs from the drawing "
                "world's; train it again"
            )
    judge = Judge(about["size"], about["width"], attributes)
    weights = {_head_key(k): v.float() for k, v in load_file(folder / "model.safetensors").items()}
    judge.load_state_dict(weights)
    return judge.eval().requires_grad_(False)


def _qualified(name: str) -> str:
    """A head's full name; judges from the time when the world had avatars alone name attributes without the domain."""
    return name if "." in name or name in SHARED else f"avatar.{name}"


def _head_key(key: str) -> str:
    """A weight's name, with its head's full name."""
    if not key.startswith("heads."):
        return key
    _, head, kind = key.split(".")
    known = {_key(n) for n in heads()}
    return key if head in known else f"heads.avatar_{head}.{kind}"


@torch.no_grad()
def predictions(judge: Judge, images: Tensor) -> dict[str, Tensor]:
    """float32 [N,3,H,W] in -1..1 -> head -> int64 [N] indices into its values."""
    device = next(judge.parameters()).device
    found = [{n: x.argmax(1).cpu() for n, x in judge(part.to(device)).items()} for part in images.split(64)]
    return {n: torch.cat([f[n] for f in found]) for n in judge.attributes}


@torch.no_grad()
def features_of(judge: Judge, images: Tensor) -> Tensor:
    """float32 [N,3,H,W] in -1..1 -> float32 [N, D], in parts that fit in memory."""
    device = next(judge.parameters()).device
    return torch.cat([judge.features(part.to(device)).cpu() for part in images.split(64)])


def accuracy(
    judge: Judge, images: Tensor, subjects: Sequence[Subject], settled: Sequence[frozenset[str]] | None = None
) -> dict[str, float]:
    """Head -> share of right answers over the pictures that show its attribute (and whose caption settles it).

    `settled` holds each caption's attributes as the world names them, without the domain.
    """
    truth, found = labels(subjects), predictions(judge, images)
    wanted = None if settled is None else [settled_heads(s, c) for s, c in zip(subjects, settled, strict=True)]
    scores = {}
    for name in judge.attributes:
        counted = truth[name] >= 0
        if wanted is not None:
            counted &= torch.tensor([name in w for w in wanted])
        if counted.any():
            scores[name] = float((found[name] == truth[name])[counted].float().mean())
    return scores


def judge_accuracy(judge: Judge, count: int, size: int) -> dict[str, float]:
    """The judge's own accuracy for each head on `count` held-out drawings of size x size pixels."""
    subjects = subjects_at(_MEASURED_FROM, count)
    return accuracy(judge, pictures(subjects, size), subjects)


def mean(scores: Mapping[str, float]) -> float:
    """The mean over heads, each counting the same; 0 for none."""
    return sum(scores.values()) / max(1, len(scores))
