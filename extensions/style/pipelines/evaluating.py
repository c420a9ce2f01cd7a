"""style.evaluate: what AdaIN does to held-out drawings, against the drawing itself and its colours alone.

Two networks measure: the encoder that the decoder was trained against, and the starter's judge, which had no part in
it; over the whole set the judge gives ArtFD too. The styles are held-out textures and drawings in another manner.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from extensions.style.colour.transfer import Transfer, transferred
from extensions.style.networks.loading import decoder_component, encoder_component
from extensions.style.networks.statistics import adain, gram
from extensions.style.networks.tiles import padded
from extensions.style.params import EvaluateParams
from extensions.style.pictures.preparing import to_floats, to_tensor
from extensions.style.pictures.reading import floats, to_picture
from extensions.style.scores.card import write_card
from extensions.style.scores.distances import distances
from extensions.style.scores.pairs import layer_distance
from webui.api import Artifact, Context, LayeredExtractor

from .adain import seen

_CONTENT_SEED, _STYLE_SEED = 1_000_000_000, 1_000_500_000
"""Training draws from seeds below."""
_DRAWN = ("sketch", "watercolour", "pixel", "halftone")
_JUDGE = "starter.judge"
_ART_FID, _SET = "style.artfid", 8
"""That pipeline, and how many pictures it compares at least."""
WAYS = ("adain", "picture itself", "colours alone")


class Evaluate:
    """style.evaluate. Artifacts: the numbers, and a sheet of drawings, styles and results."""

    def run(self, params: EvaluateParams, context: Context) -> Iterator[Artifact]:
        """Raises NotFound where the networks are missing."""
        if not context.pending(2):
            return
        pairs = list(zip(_contents(params, context), _styles(params, context), strict=True))
        rows: list[dict[str, float]] = []
        seconds: list[float] = []
        shown: list[Image.Image] = []
        sets: dict[str, list[Image.Image]] = {way: [] for way in WAYS}
        judge = context.feature_extractor(_JUDGE) if _JUDGE in context.feature_networks else None
        parts = {"encoder": encoder_component(context, ""), "decoder": decoder_component(context)}
        if judge is not None:
            parts["judge"] = judge.component
        with context.models.lease(parts) as leased, torch.inference_mode():
            encoder, decoder = leased["encoder"], leased["decoder"]
            for place, (content, style) in enumerate(pairs):
                began = time.perf_counter()
                kept, wanted = (padded(to_tensor(floats(one)).to(context.device)) for one in (content, style))
                both = zip(*(seen(encoder, decoder, one) for one in (kept, wanted)), strict=True)
                coarse, *finer = (adain(ours, theirs) for ours, theirs in both)
                made = to_picture(to_floats(decoder(coarse, finer)[..., : content.height, : content.width]))
                seconds.append(time.perf_counter() - began)
                coloured = to_picture(transferred(floats(content), [floats(style)], Transfer()))
                results = dict(zip(WAYS, (made, content, coloured), strict=True))
                row: dict[str, float] = {}
                for way, result in results.items():
                    sets[way].append(result)
                    found = distances(encoder, _tensor(result, context), kept, [wanted], [1.0])
                    row |= {f"{way}: content": found.content, f"{way}: style": found.style}
                if isinstance(judge, LayeredExtractor):
                    row |= _judged(judge, leased["judge"], results, content, style, context)
                rows.append(row)
                if len(shown) < 24:
                    shown += [content, style, made]
                context.progress(place + 1, len(pairs), "measuring")
        numbers: dict[str, Any] = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
        for by in ("", "judge, ") if judge is not None else ("",):
            gains = [row[f"{by}adain: style"] < row[f"{by}colours alone: style"] for row in rows]
            numbers[f"{by}nearer to the style than colours alone"] = round(float(np.mean(gains)), 4)
        if judge is not None and len(rows) >= _SET and {_ART_FID, "metrics.fd"} <= context.pipelines.keys():
            numbers |= _art_fid(sets, [style for _, style in pairs], context)
        numbers |= {
            "pictures": len(rows),
            "size": params.width,
            "threads": torch.get_num_threads(),
            "median seconds": round(float(np.median(seconds)), 3),
        }
        if params.card:
            write_card(Path(params.card).expanduser(), numbers)
        yield Artifact("scalar", numbers, index=0, title="Style transfer of held-out drawings")
        yield Artifact("image", _sheet(shown), index=1, title="Drawing, style, result")


def _contents(params: EvaluateParams, context: Context) -> list[Image.Image]:
    taken: list[Artifact] = []
    asked = {"samples": params.samples, "style": "flat", "width": params.width, "seed": _CONTENT_SEED}
    context.run("starter.draw", asked, count=params.samples, take=taken.append)
    return [one.data.convert("RGB") for one in taken]


def _styles(params: EvaluateParams, context: Context) -> list[Image.Image]:
    """Two textures in three, and a drawing in another manner for the third."""
    drawn = len(range(2, params.samples, 3))
    found: list[list[Image.Image]] = []
    runs = [("starter.textures", params.samples - drawn, {})]
    runs += [("starter.draw", len(range(place, drawn, 4)), {"style": name}) for place, name in enumerate(_DRAWN)]
    for pipeline, count, asked in runs:
        taken: list[Artifact] = []
        if count:
            common = {"samples": count, "width": params.width, "seed": _STYLE_SEED}
            context.run(pipeline, {**common, **asked}, count=count, take=taken.append)
        found.append([one.data.convert("RGB") for one in taken])
    textures, drawings = iter(found[0]), iter([one for manner in found[1:] for one in manner])
    return [next(drawings if place % 3 == 2 else textures) for place in range(params.samples)]


def _tensor(picture: Image.Image, context: Context) -> Tensor:
    return padded(to_tensor(floats(picture)).to(context.device))


def _judged(
    judge: Any,
    network: Any,
    results: Mapping[str, Image.Image],
    content: Image.Image,
    style: Image.Image,
    context: Context,
) -> dict[str, float]:
    """The same two distances by the judge's layers."""
    pictures = [content, style, *results.values()]
    batch = torch.from_numpy(np.stack([judge.prepare(one) for one in pictures])).to(context.device)
    layers: Sequence[Tensor] = judge.layers(network, batch)
    row: dict[str, float] = {}
    for place, way in enumerate(results):
        ours = [one[place + 2 : place + 3] for one in layers]
        row[f"judge, {way}: content"] = float(layer_distance(ours, [one[:1] for one in layers]))
        gaps = []
        for one, wanted in zip(ours, [one[1:2] for one in layers], strict=True):
            goal = gram(wanted)
            gaps.append(float((gram(one) - goal).square().mean() / goal.square().mean().clamp(min=1e-8)))
        row[f"judge, {way}: style"] = float(np.mean(gaps))
    return row


def _art_fid(
    sets: Mapping[str, Sequence[Image.Image]], styles: Sequence[Image.Image], context: Context
) -> dict[str, float]:
    """ArtFD and its Frechet half of each way's pictures, by ``style.artfid`` over folders of this job."""
    base = context.work_dir / "sets"
    folders = {name: base / name.replace(" ", "-") for name in (*sets, "styles")}
    for name, pictures in (*sets.items(), ("styles", styles)):
        folders[name].mkdir(parents=True, exist_ok=True)
        for place, picture in enumerate(pictures):
            picture.save(folders[name] / f"{place:05d}.png")
    found: dict[str, float] = {}
    for way in sets:
        told: list[Artifact] = []
        asked = {"contents": "picture itself", "styles": "styles", "results": way}
        context.run(_ART_FID, {part: str(folders[name]) for part, name in asked.items()}, count=1, take=told.append)
        scores = {name: value for name, value in told[0].data.items() if name.startswith(("ArtFD-", "FD-"))}
        found |= {f"{way}: {name}": round(float(value), 4) for name, value in scores.items()}
    return found


def _sheet(pictures: Sequence[Image.Image]) -> Image.Image:
    """Rows of two triples."""
    side = pictures[0].width + 4
    sheet = Image.new("RGB", (6 * side, -(-len(pictures) // 6) * side), (255, 255, 255))
    for place, picture in enumerate(pictures):
        sheet.paste(picture, ((place % 6) * side, (place // 6) * side))
    return sheet
