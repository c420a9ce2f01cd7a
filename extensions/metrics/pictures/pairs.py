"""metrics.against_reference: pictures beside references -> PSNR, SSIM, MS-SSIM, LPIPS, and where the pairs differ."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.metrics.inputs.pictures import PictureSet
from extensions.metrics.inputs.refs import Asked
from webui.api import Artifact, Context, JobFailed, Work

from . import similarity
from .heat import error_sheet
from .params import ReferenceParams
from .perceptual import FORMULA, Perceptual, perceptual, signed
from .reading import opened, pictures_of, said_of
from .telling import Column, Row, RowFile, Told, artifacts, teller

_PUBLISHED = f"Wang et al. 2004 (SSIM), Wang et al. 2003 (MS-SSIM), {FORMULA} (LPIPS)"


@dataclass(frozen=True)
class Pair:
    """Picture and reference by their numbers in their sets."""

    picture: int
    reference: int


def pair_up(pictures: PictureSet, references: PictureSet, by: str) -> list[Pair]:
    """By order, all with the only reference where there is one alone; or by the file's name without its ending.

    Raises JobFailed where that leads to no pairs.
    """
    if by == "order":
        if len(references) == 1:
            return [Pair(index, 0) for index in range(len(pictures))]
        if len(references) != len(pictures):
            raise JobFailed(
                f"{len(pictures)} pictures and {len(references)} references make no pairs by their order.",
                hint="Give as many of both, one reference alone, or pair by name.",
            )
        return [Pair(index, index) for index in range(len(pictures))]
    stems = [_stem(references.name(index)) for index in range(len(references))]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise JobFailed(f"{twice[0]} names {stems.count(twice[0])} references.", hint="Pair by order.")
    known = {stem: index for index, stem in enumerate(stems)}
    found = [(index, known.get(_stem(pictures.name(index)))) for index in range(len(pictures))]
    pairs = [Pair(index, other) for index, other in found if other is not None]
    if not pairs:
        raise JobFailed("no picture has the name of a reference.", hint="Pair by order.")
    return pairs


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def unit(picture: Image.Image) -> Tensor:
    """RGB -> float32 [1,3,H,W] in 0..1."""
    return torch.from_numpy(np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1)[None] / 255)


class Comparer:
    """Scores pairs with one perceptual distance."""

    def __init__(self, context: Context, distance: Perceptual) -> None:
        self._context, self.distance = context, distance
        self.scales: set[int] = set()

    @property
    def columns(self) -> list[Column]:
        scales = sorted(self.scales)
        short = f" ({', '.join(map(str, scales))} of 5 scales)" if scales and scales != [5] else ""
        return [
            Column("psnr", "PSNR in dB", "higher"),
            Column("ssim", "SSIM", "higher"),
            Column("ms_ssim", f"MS-SSIM{short}", "higher"),
            Column("lpips", self.distance.name, "lower"),
        ]

    def row(self, picture: Image.Image, reference: Image.Image) -> Row:
        """Scores of a pair of one size; None for what it is too small for. Raises JobFailed for two sizes."""
        if picture.size != reference.size:
            raise JobFailed(
                f"a picture of {picture.width} x {picture.height} cannot be compared with a reference of "
                f"{reference.width} x {reference.height}.",
                hint="Bring both to one size first: how that is done decides the scores.",
            )
        a, b = unit(picture), unit(reference)
        scales = similarity.scales_of(picture.height, picture.width)
        return {
            "width": picture.width,
            "height": picture.height,
            "psnr": similarity.psnr(a, b).item(),
            "ssim": similarity.ssim(a, b).item() if scales else None,
            "ms_ssim": similarity.ms_ssim(a, b, scales).item() if scales else None,
            "scales": scales,
            "lpips": self._apart(picture, reference),
            "identical": bool(torch.equal(a, b)),
        }

    def _apart(self, picture: Image.Image, reference: Image.Image) -> float | None:
        if min(picture.size) < self.distance.smallest_px:
            return None
        device = self._context.device
        a, b = (torch.from_numpy(signed(one))[None].to(device) for one in (picture, reference))
        wanted = {"network": self.distance.component}
        with self._context.models.lease(wanted, work=Work("other", batch=2)) as parts, torch.inference_mode():
            return float(self.distance.distance(parts["network"], a, b)[0])


class AgainstReference:
    """metrics.against_reference."""

    def run(self, params: ReferenceParams, context: Context) -> Iterator[Artifact]:
        distance = perceptual(context, params.perceptual, params.weights)
        pictures = pictures_of(params, context)
        asked = Asked(
            "references", params.references, params.references_file, params.reference_images, count=params.samples
        )
        references = opened(asked, context)
        pairs = pair_up(pictures, references, params.pair_by)
        shown = min(params.maps, len(pairs))
        context.pending(8 + shown, [1000.0, *[1.0] * (7 + shown)])
        if len(pairs) < len(pictures):
            context.warn(f"{len(pictures) - len(pairs)} pictures have no reference of their name.")
        held, comparer = RowFile(context.work_dir / "rows.jsonl"), Comparer(context, distance)
        tell = teller(context, "Comparing pairs")
        tell(len(held), len(pairs))
        for index in range(len(held), len(pairs)):
            held.add([_row(comparer, pictures, references, pairs[index])])
            tell(index + 1, len(pairs))
        comparer.scales = {int(row["scales"]) for row in held.rows if row["scales"]}
        told = self._told(held.rows, comparer, context, (pictures, references))
        told.more = list(self._maps(held.rows, pairs, (pictures, references), shown))
        yield from artifacts(context, told)

    def _told(
        self, rows: Sequence[Row], comparer: Comparer, context: Context, sets: tuple[PictureSet, PictureSet]
    ) -> Told:
        protocol = {
            **said_of(sets[0], context),
            "references": sets[1].title,
            "references_format": sets[1].file_format,
            "n": len(rows),
            "ssim": f"{similarity.WINDOW_PX} x {similarity.WINDOW_PX} Gaussian, sigma {similarity.SIGMA}, biased "
            "variances, windows within the picture, mean over RGB",
            **comparer.distance.protocol,
            "formulas": _PUBLISHED,
        }
        identical = sum(bool(row["identical"]) for row in rows)
        if identical:
            context.warn(f"{identical} pairs are identical: their PSNR is infinite, and left out of its mean.")
        if any(row["ssim"] is None or row["lpips"] is None for row in rows):
            context.warn("Some pairs are too small for SSIM (11 pixels) or for the network of LPIPS.")
        title = f"{len(rows)} pictures against their references"
        return Told(title, rows, comparer.columns, protocol, {"identical": identical}, unit="pairs")

    def _maps(
        self, rows: Sequence[Row], pairs: Sequence[Pair], sets: tuple[PictureSet, PictureSet], count: int
    ) -> Iterator[Artifact]:
        """Of the pairs with the lowest SSIM, or PSNR where they are too small for one."""
        order = sorted(range(len(rows)), key=lambda i: (_rank(rows[i]), i))[:count]
        for place in order:
            picture, reference = sets[0].picture(pairs[place].picture), sets[1].picture(pairs[place].reference)
            words = f"{rows[place]['picture']} beside {rows[place]['reference']}: where they differ"
            yield Artifact("image", error_sheet(picture, reference), title=words)


def _rank(row: Row) -> float:
    value = row["ssim"] if row["ssim"] is not None else row["psnr"] / 100
    return float(value)


def _row(comparer: Comparer, pictures: PictureSet, references: PictureSet, pair: Pair) -> dict[str, Any]:
    told = {"picture": pictures.name(pair.picture), "reference": references.name(pair.reference)}
    return {**told, **comparer.row(pictures.picture(pair.picture), references.picture(pair.reference))}
