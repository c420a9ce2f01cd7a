"""Scores that need pictures again after the pass: pairs of generated ones for diversity, neighbours to be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from webui.api import Work

from .features.reading import Reader, Tell
from .inputs.pictures import PictureSet
from .pictures.lpips import layer_distances, pooled
from .pictures.perceptual import Perceptual, signed
from .pictures.similarity import ms_ssim, scales_of
from .scores import Score
from .sets.interval import of_means
from .sets.manifold import Neighbours

_CELL, _GAP = 128, 6


def pairs_of(count: int, pairs: int, seed: int) -> list[tuple[int, int]]:
    """Pairs of two different pictures, each in one pair at most: independent, so that their mean has an interval."""
    order = np.random.default_rng(seed).permutation(count)[: 2 * min(pairs, count // 2)]
    return [(int(a), int(b)) for a, b in order.reshape(-1, 2)]


@dataclass(frozen=True)
class Apart:
    """How far two pictures are apart: by LPIPS where ``lpips`` is given, else by the layers of the network with equal
    weights, which is no LPIPS and is not called so.
    """

    reader: Reader
    lpips: Perceptual | None = None

    @property
    def name(self) -> str:
        return f"Diversity by {self.lpips.name}" if self.lpips else f"Perceptual diversity-{self.reader.spec.title}"

    def __call__(self, one: Image.Image, other: Image.Image) -> float | None:
        """None for a pair that has no such distance."""
        if self.lpips is not None:
            return _by_lpips(self.reader, self.lpips, one, other)
        return _layers_apart(self.reader, one, other) if hasattr(self.reader.extractor, "layers") else None


def diversity(pictures: PictureSet, by: Apart, pairs: int, seed: int, tell: Tell) -> list[Score]:
    """The mean distance of random pairs: perceptual (Zhang et al. 2018), and MS-SSIM (Odena et al. 2017, section 4.2),
    which falls as pictures grow more varied.
    """
    chosen = pairs_of(len(pictures), pairs, seed)
    perceptual: list[float] = []
    similar: list[float] = []
    scales = 0
    for done, pair in enumerate(chosen):
        tell(done, len(chosen))
        one, other = (pictures.picture(index) for index in pair)
        if (apart := by(one, other)) is not None:
            perceptual.append(apart)
        if one.size == other.size and (found := scales_of(one.height, one.width)):
            scales = min(scales or found, found)
            similar.append(float(ms_ssim(_unit(one), _unit(other), found)[0]))
    scores = []
    for key, name, values in (
        ("perceptual_diversity", by.name, perceptual),
        ("ms_ssim_diversity", "MS-SSIM of pairs" if scales == 5 else f"MS-SSIM of pairs ({scales} scales)", similar),
    ):
        if values:
            way = f"Student, over {len(values)} pairs"
            scores.append(Score(key, name, of_means(values, way=way), "near real", None, {"pairs": len(values)}))
    return scores


def with_reference(made: Sequence[Score], real: Sequence[Score]) -> Iterator[Score]:
    """Each diversity with that of the real set beside it."""
    known = {score.name: score.estimate.value for score in real}
    for score in made:
        yield Score(score.key, score.name, score.estimate, score.better, known.get(score.name), score.further)


def _layers_apart(reader: Reader, one: Image.Image, other: Image.Image) -> float:
    batch = torch.from_numpy(np.stack([reader.extractor.prepare(one), reader.extractor.prepare(other)]))
    with (
        reader.context.models.lease({"network": reader.extractor.component}, work=Work("other", batch=2)) as parts,
        torch.inference_mode(),
    ):
        layers = reader.extractor.layers(parts["network"], batch.to(reader.context.device))  # type: ignore[attr-defined]
        return float(pooled(layer_distances([x[:1] for x in layers], [x[1:] for x in layers]))[0])


def _by_lpips(reader: Reader, distance: Perceptual, one: Image.Image, other: Image.Image) -> float | None:
    """Pictures as they are; pairs of two sizes, or too small for the network, have none."""
    if one.size != other.size or min(one.size) < distance.smallest_px:
        return None
    context = reader.context
    a, b = (torch.from_numpy(signed(picture))[None].to(context.device) for picture in (one, other))
    wanted = {"network": distance.component}
    with context.models.lease(wanted, work=Work("other", batch=2)) as parts, torch.inference_mode():
        return float(distance.distance(parts["network"], a, b)[0])


def _unit(picture: Image.Image) -> Tensor:
    """float32 [1,3,H,W] in 0..1."""
    return torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255)


def nearest_rows(found: Neighbours, real: PictureSet, made: PictureSet, count: int) -> list[dict[str, Any]]:
    """The ``count`` generated pictures that are nearest to a real one, by ratio."""
    order = np.argsort(found.ratio, kind="stable")[:count]
    return [
        {
            "generated": made.name(int(row)),
            "nearest_real": real.name(int(found.nearest[row])),
            "distance": float(found.distance[row]),
            "ratio": float(found.ratio[row]),
            "generated_index": int(row),
            "real_index": int(found.nearest[row]),
        }
        for row in order
    ]


def pair_sheet(rows: Sequence[Mapping[str, Any]], real: PictureSet, made: PictureSet, tell: Tell) -> Image.Image:
    """Generated beside real, pair by pair, nearest first, four pairs a line; the ratio below each."""
    columns = min(4, len(rows))
    width, height = 2 * _CELL + 3 * _GAP, _CELL + 24
    sheet = Image.new("RGB", (columns * width + _GAP, -(-len(rows) // columns) * height + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for place, row in enumerate(rows):
        tell(place, len(rows))
        left, top = place % columns * width + _GAP, place // columns * height + _GAP
        for side, picture in enumerate((made.picture(row["generated_index"]), real.picture(row["real_index"]))):
            cell = picture.copy()
            cell.thumbnail((_CELL, _CELL), Image.Resampling.LANCZOS)
            x, y = left + side * (_CELL + _GAP), top
            sheet.paste(cell, (x + (_CELL - cell.width) // 2, y + (_CELL - cell.height) // 2))
        draw.text((left, top + _CELL + 3), f"{row['ratio']:.3f}", fill="black")
    return sheet
