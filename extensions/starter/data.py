"""Training's source: seeds -> batches of drawn pictures, masks, labels and captions as tensors."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .drawing import Pixels, draw_all, lines, mask, picture
from .world import Caption, Edit, Subject, describe, edit, head_name, heads, sample

# Seeds below are for training; evaluation draws its subjects from beyond, so the two never meet.
HELD_OUT = 1_000_000_000
_CHINESE = 0.2


def to_tensor(image: Image.Image) -> Tensor:
    """RGB or L picture -> float32 [C,H,W]: RGB in -1..1, L in 0..1."""
    array = torch.from_numpy(np.asarray(image).copy())
    if array.ndim == 2:
        return array[None].float().div_(255)
    return array.permute(2, 0, 1).float().div_(127.5).sub_(1)


def to_image(tensor: Tensor) -> Image.Image:
    """float [3,H,W] in -1..1 -> RGB picture."""
    array = tensor.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array)


def subjects_at(start: int, count: int, domain: str | None = None) -> list[Subject]:
    """The subjects of seeds start .. start + count - 1, of every domain or of one."""
    return [sample(s, domain) for s in range(start, start + count)]


def language_at(seed: int) -> str:
    """The language of this wording seed: Chinese for a fifth of them, else English."""
    return "zh" if random.Random(f"language:{seed}").random() < _CHINESE else "en"


def caption_at(subject: Subject, seed: int) -> Caption:
    """The caption of this wording seed, in the seed's language."""
    return describe(subject, seed, language=language_at(seed))


def edit_at(seed: int) -> Edit:
    """The pair of drawings and the instruction of this seed, in the seed's language."""
    return edit(sample(seed), seed, language_at(seed))


def pictures(subjects: Iterable[Subject], size: int) -> Tensor:
    """float32 [N,3,size,size] in -1..1."""
    return _colours(draw_all(list(subjects), size, picture))


def line_pictures(subjects: Iterable[Subject], size: int) -> Tensor:
    """float32 [N,3,size,size] in 0..1: dark lines on white, as ControlNet pipelines hand pictures over."""
    return _colours(draw_all(list(subjects), size, lines)).add_(1).div_(2)


def masks(subjects: Iterable[Subject], size: int) -> Tensor:
    """float32 [N,1,size,size] in 0..1: where what matters is small, such as a face's features."""
    return torch.from_numpy(np.stack(draw_all(list(subjects), size, mask))[:, None]).float().div_(255)


def _colours(drawn: list[Pixels]) -> Tensor:
    return torch.from_numpy(np.stack(drawn)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def label_row(subject: Subject) -> dict[str, int]:
    """Head -> index of its value, -1 where this picture does not show it; every head of the world is named."""
    row = dict.fromkeys(heads(), -1)
    row.update({head_name(subject.domain, n): i for n, i in subject.labels().items()})
    return row


def labels(subjects: Iterable[Subject]) -> dict[str, Tensor]:
    """Head -> int64 [N] indices into its values, -1 where not visible."""
    rows = [label_row(s) for s in subjects]
    return {n: torch.tensor([r[n] for r in rows]) for n in heads()}


def settled_heads(subject: Subject, settles: Iterable[str]) -> frozenset[str]:
    """A caption's settled attributes as the judge's heads."""
    return frozenset(head_name(subject.domain, n) for n in settles)


def grid(images: list[Image.Image], columns: int, gap: int = 4) -> Image.Image:
    """Pictures of one size on one white sheet, row by row."""
    side = images[0].width + gap
    sheet = Image.new("RGB", (columns * side, -(-len(images) // columns) * side), (255, 255, 255))
    for i, image in enumerate(images):
        sheet.paste(image, ((i % columns) * side, (i // columns) * side))
    return sheet
