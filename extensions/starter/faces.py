"""A stage of its own: drawn pictures -> one small network that finds faces, their landmarks and their parts.

It reads a whole picture to find faces (their middles and sizes, as in CenterNet, Zhou et al. 2019), and one face cut
out to place landmarks (heat maps) and parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .config import FacesConfig, TrainingConfig
from .data import HELD_OUT, grid, to_image
from .faces_data import FaceExample, face_example
from .judge import roughen
from .loop import Hooks, Stage, step_generator
from .precision import mixed
from .warm import warm_start
from .world.parts import LANDMARKS, PARTS

_STRIDE = 2
_TOLD = ("recall", "precision", "landmark_error", "iou_mean")
_SMALL = ("brow", "eye", "eyewear", "nose", "mouth", "beard", "accessory")
"""Parts that weigh more, since they are few of a picture's pixels."""


class FaceNetwork(nn.Module):
    """float32 [N,3,H,W] in -1..1, sides multiples of 16 -> at half of the sides: parts [N,P,h,w] (logits), centre
    [N,1,h,w] (logit), size [N,2,h,w] (log of width and height in pixels), landmarks [N,L,h,w] (logits over places).
    """

    def __init__(self, channels: Sequence[int], parts: int, landmarks: int) -> None:
        super().__init__()
        self.counts = (parts, 1, 2, landmarks)
        first, *rest = channels
        self.conv_in = _block(3, first, stride=2)
        down, before = [nn.Sequential(_block(first, first))], first
        for width in rest:
            down.append(nn.Sequential(_block(before, width, stride=2), _block(width, width)))
            before = width
        self.down = nn.ModuleList(down)
        self.wide = nn.Sequential(_block(before, before, dilation=2), _block(before, before, dilation=3))
        up = []
        for fine, coarse in zip(reversed(channels[:-1]), reversed(channels[1:]), strict=True):
            up.append(nn.ModuleList([nn.Conv2d(coarse, fine, 1), _block(fine, fine)]))
        self.up = nn.ModuleList(up)
        self.conv_out = nn.Conv2d(first, sum(self.counts), 1)
        # Nearly every place is the middle of no face (Lin et al. 2017, section 3.3); faces are some 50 pixels high.
        with torch.no_grad():
            self.conv_out.bias[parts] = -4.0
            self.conv_out.bias[parts + 1 : parts + 3] = 4.0

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, kept = self.conv_in(images), []
        for level in self.down:
            x = level(x)
            kept.append(x)
        x = self.wide(x)
        for (narrow, block), skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = block(functional.interpolate(narrow(x), scale_factor=2, mode="nearest") + skip)
        parts, centre, size, landmarks = self.conv_out(x).split(self.counts, 1)
        return parts, centre, size, landmarks


def _block(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False)
    return nn.Sequential(layer, nn.GroupNorm(4, after), nn.SiLU())


def places(heat: Tensor) -> Tensor:
    """Logits float32 [N,L,h,w] -> float32 [N,L,2]: the mean place (x, y) in cells about each map's maximum."""
    n, count, h, w = heat.shape
    flat = heat.flatten(2).softmax(2)
    x = torch.arange(w, device=heat.device, dtype=heat.dtype).repeat(h)
    y = torch.arange(h, device=heat.device, dtype=heat.dtype).repeat_interleave(w)
    best = flat.argmax(2, keepdim=True)
    near = ((x - x[best]).abs() <= 3) & ((y - y[best]).abs() <= 3)
    flat = flat * near
    flat = flat / flat.sum(2, keepdim=True)
    return torch.stack([(flat * x).sum(2), (flat * y).sum(2)], 2).view(n, count, 2)


def train_faces(config: TrainingConfig, folder: Path, hooks: Hooks | None = None) -> Path:
    """Train or go on training; writes sheets on the way, and the network to `folder`/faces."""
    part = config.faces
    torch.manual_seed(config.seed + 12)
    network = FaceNetwork(part.channels, len(PARTS), len(LANDMARKS))
    warm_start(network, config, "faces", file="model.safetensors", optional=True)
    network.to(config.device)
    stage = Stage("faces", {"faces": network}, folder, part, config)
    stage.resume()

    def loss_at(step: int) -> tuple[Tensor, dict[str, float]]:
        generator = step_generator(config.seed, "faces", step)
        first = HELD_OUT // 3 + (100_000 * config.seed + step) * part.batch
        examples = [face_example(first + i, part.size) for i in range(part.batch)]
        images = roughen(_colours(examples), generator).to(config.device)
        with mixed(images.device):
            told = network(images)
        return face_loss([t.float() for t in told], examples, part)

    def after(step: int) -> None:
        if step % config.grid_every == 0 or step == part.steps:
            with stage.average:
                sheet(network, part.size).save(folder / f"faces-{step:06d}.png")

    stage.run(loss_at, hooks or Hooks(), after)
    with stage.average:
        numbers = measure_faces(network.eval(), part.held_out, part.size)
        save_faces(network, part, folder / "faces", numbers)
    return folder / "faces"


def face_loss(
    told: Sequence[Tensor], examples: Sequence[FaceExample], part: FacesConfig
) -> tuple[Tensor, dict[str, float]]:
    """Cross-entropy of parts and of landmarks' places, CenterNet's focal loss of middles, L1 of sizes."""
    parts, centre, size, heat = told
    device, cells = parts.device, centre.shape[-1]
    labels = torch.from_numpy(np.stack([e.parts[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE] for e in examples]))
    weights = torch.ones(len(PARTS), device=device)
    weights[[PARTS.index(n) for n in _SMALL]] = part.feature_weight
    of_parts = functional.cross_entropy(parts, labels.long().to(device), weights)

    goal, sizes, at_middle = (t.to(device) for t in _middles(examples, cells))
    p = centre.sigmoid().clamp(1e-4, 1 - 1e-4)
    sure = (goal == 1).float()
    focal = -(sure * (1 - p) ** 2 * p.log() + (1 - sure) * (1 - goal) ** 4 * p**2 * (1 - p).log())
    of_middles = focal.sum() / sure.sum().clamp(min=1)
    of_sizes = ((size - sizes).abs() * at_middle).sum() / at_middle.sum().clamp(min=1) / 2

    points = torch.from_numpy(np.stack([e.landmarks for e in examples])).to(device)
    here = ~points.isnan().any(2).any(1)
    # A pixel's middle is at x + 0.5: cell i covers the pixels 2 i and 2 i + 1, its middle lies at 2 i + 1.
    wanted = (points[here] - _STRIDE / 2) / _STRIDE
    of_places = of_error = torch.zeros((), device=device)
    if here.any():
        axis = torch.arange(cells, device=device, dtype=torch.float32)
        bells = [(-(axis - wanted[..., k, None]).square() / (2 * part.sigma**2)).exp() for k in (0, 1)]
        map_ = bells[1][..., :, None] * bells[0][..., None, :]
        map_ = map_ / map_.sum((-2, -1), keepdim=True).clamp(min=1e-8)
        of_places = -(map_ * heat[here].flatten(2).log_softmax(2).view_as(map_)).sum((-2, -1)).mean()
        of_error = functional.smooth_l1_loss(places(heat[here]), wanted)
    total = of_parts + 0.5 * of_middles + of_sizes + 0.3 * of_places + 0.3 * of_error
    return total, {
        "parts": float(of_parts.detach()),
        "middles": float(of_middles.detach()),
        "sizes": float(of_sizes.detach()),
        "places": float(of_places.detach()),
    }


def _middles(examples: Sequence[FaceExample], cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Heat of the faces' middles [N,1,cells,cells] in 0..1, log sizes [N,2,...], and where those count [N,1,...]."""
    heat, counts = (np.zeros((len(examples), 1, cells, cells), np.float32) for _ in range(2))
    sizes = np.zeros((len(examples), 2, cells, cells), np.float32)
    axis = np.arange(cells, dtype=np.float32)
    for n, example in enumerate(examples):
        for left, top, right, bottom in example.boxes:
            x, y = (left + right) / 4 - 0.5, (top + bottom) / 4 - 0.5
            column, row = round(min(max(x, 0), cells - 1)), round(min(max(y, 0), cells - 1))
            spread = max(1.0, 0.06 * (bottom - top) / _STRIDE)
            bell = np.exp(-((axis[None] - column) ** 2 + (axis[:, None] - row) ** 2) / (2 * spread**2))
            heat[n, 0] = np.maximum(heat[n, 0], bell)
            near = bell > 0.5
            sizes[n, 0][near], sizes[n, 1][near] = np.log(right - left), np.log(bottom - top)
            counts[n, 0][near] = 1
    return torch.from_numpy(heat), torch.from_numpy(sizes), torch.from_numpy(counts)


def _colours(examples: Sequence[FaceExample]) -> Tensor:
    stacked = np.stack([e.picture for e in examples])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def save_faces(network: FaceNetwork, part: FacesConfig, folder: Path, held_out: dict[str, float]) -> None:
    """Half-precision weights, and a config.json that says how the network is made and what its outputs mean."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().half().cpu().contiguous() for k, v in network.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    about = {
        "architecture": "lifelike-faces",
        "title": "Faces of the drawing world",
        "size": part.size,
        "channels": list(part.channels),
        "parts": list(PARTS),
        "landmarks": list(LANDMARKS),
        "held_out": held_out,
    }
    (folder / "config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    count = sum(p.numel() for p in network.parameters())
    (folder / "README.md").write_text(faces_card(held_out, count), encoding="utf-8")


def faces_card(held_out: dict[str, float], parameters: int) -> str:
    """The model card's Markdown, with the numbers of ``measure_faces``."""
    shares = "\n".join(f"| {name} | {held_out[f'iou_{name}']:.1%} |" for name in PARTS if f"iou_{name}" in held_out)
    told = ", ".join(f"{name.replace('_', ' ')} {held_out[name]:g}" for name in _TOLD if name in held_out)
    return f"""---
license: apache-2.0
---

# Faces of the drawing world

A convolutional network ({parameters:,} parameters, float16 safetensors) that finds drawn faces in pictures (recall and
precision at an overlap of a half), places {len(LANDMARKS)} landmarks and tells {len(PARTS)} parts. It reads 128 pixels;
a whole picture is read at several sizes, each face again cut out. Faces turned by more than some 25 degrees, and
photographs, it has not seen.

Measured when training ended, on {held_out.get("examples", 0)} held-out examples of every drawing style, turned, small
and rough ones among them: {told}. The landmarks' error is a share of the face's height.

| part | overlap with the drawing |
| --- | --- |
{shares}

Data: drawn by the project's own code, so labels are exact; no photographs, no real people. Recipe: stage `faces` of
`python -m extensions.starter.train`.
"""


def load_faces(folder: Path) -> FaceNetwork:
    """A network in evaluation mode."""
    about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    network = FaceNetwork(about["channels"], len(about["parts"]), len(about["landmarks"]))
    network.load_state_dict({k: v.float() for k, v in load_file(folder / "model.safetensors").items()})
    return network.eval().requires_grad_(False)


@torch.no_grad()
def measure_faces(network: FaceNetwork, count: int, size: int) -> dict[str, float]:
    """On held-out examples: recall and precision of faces at IoU 0.5, mean landmark error in shares of the face's
    height (portraits), and the mean intersection over union of the parts.
    """
    device = next(network.parameters()).device
    errors: list[float] = []
    found = right = wanted = 0
    overlap = np.zeros((len(PARTS), len(PARTS)), np.int64)
    for start in range(0, count, 16):
        examples = [face_example(HELD_OUT + 500_000 + i, size) for i in range(start, min(count, start + 16))]
        parts, centre, sizes, heat = (t.cpu() for t in network(_colours(examples).to(device)))
        full = functional.interpolate(parts, scale_factor=_STRIDE, mode="bilinear", align_corners=False).argmax(1)
        points = places(heat) * _STRIDE + _STRIDE / 2
        for n, example in enumerate(examples):
            boxes = peaks(centre[n, 0], sizes[n])
            found, wanted = found + len(boxes), wanted + len(example.boxes)
            right += sum(any(_iou(b, truth) > 0.5 for b in boxes) for truth in example.boxes)
            if not np.isnan(example.landmarks).any():
                height = example.boxes[0][3] - example.boxes[0][1]
                away = np.linalg.norm(points[n].numpy() - example.landmarks, axis=1)
                errors.append(float(away.mean()) / height)
            index = example.parts.astype(np.int64) * len(PARTS) + full[n].numpy()
            overlap += np.bincount(index.ravel(), minlength=len(PARTS) ** 2).reshape(overlap.shape)
    union = overlap.sum(0) + overlap.sum(1) - np.diag(overlap)
    shares = {f"iou_{name}": round(float(s), 4) for name, s in zip(PARTS, np.diag(overlap) / union, strict=True)}
    return {
        "examples": count,
        "recall": round(right / max(1, wanted), 4),
        "precision": round(right / max(1, found), 4),
        "landmark_error": round(float(np.mean(errors)), 5),
        "iou_mean": round(float(np.mean(np.diag(overlap) / union)), 4),
        **shares,
    }


def peaks(centre: Tensor, sizes: Tensor, least: float = 0.4) -> list[tuple[float, float, float, float]]:
    """Boxes in pixels of the local maxima of centre [h,w] (logits), with sizes [2,h,w]."""
    heat = centre.sigmoid()
    top = functional.max_pool2d(heat[None, None], 5, 1, 2)[0, 0]
    rows, columns = torch.nonzero((heat == top) & (heat > least), as_tuple=True)
    boxes = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        w, h = sizes[:, row, column].exp().tolist()
        x, y = _STRIDE * (column + 0.5), _STRIDE * (row + 0.5)
        boxes.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return boxes


def _iou(a: Sequence[float], b: Sequence[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@torch.no_grad()
def sheet(network: FaceNetwork, size: int) -> Image.Image:
    """Held-out examples: the picture with landmarks and boxes, the parts found, the parts as drawn."""
    examples = [face_example(HELD_OUT + i, size) for i in range(8)]
    device = next(network.parameters()).device
    images = _colours(examples)
    parts, centre, sizes, heat = (t.cpu() for t in network(images.to(device)))
    points = (places(heat) * _STRIDE + _STRIDE / 2).round().long().clamp(0, size - 1)
    full = functional.interpolate(parts, scale_factor=_STRIDE, mode="bilinear", align_corners=False).argmax(1)
    colours = np.random.RandomState(3).randint(0, 256, (len(PARTS), 3)).astype(np.uint8)
    marked = []
    for n, example in enumerate(examples):
        pixels = to_image(images[n])
        if not np.isnan(example.landmarks).any():
            for x, y in points[n].tolist():
                pixels.paste((255, 0, 255), (x - 1, y - 1, x + 1, y + 1))
        for left, top, right, bottom in peaks(centre[n, 0], sizes[n]):
            for edge in ((left, top, right, top + 1), (left, bottom, right, bottom + 1)):
                pixels.paste((0, 255, 0), tuple(round(v) for v in edge))
        marked.append(pixels)
    told = [Image.fromarray(colours[f.numpy()]) for f in full]
    truth = [Image.fromarray(colours[e.parts]) for e in examples]
    return grid([*marked, *told, *truth], len(examples))
