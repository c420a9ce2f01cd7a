"""style.artfid: content kept and style met, over sets of pictures, in one number that is named by its network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.style.params import ArtFidParams
from extensions.style.pictures.reading import rgb_of
from extensions.style.scores.pairs import art_fid, first_score, layer_distance
from webui.api import Artifact, Context, FeatureExtractor, FieldError, JobFailed, LayeredExtractor, ParameterError

_FRECHET = "metrics.fd"
_STARTER = "starter.judge"
_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


class ArtFid:
    """style.artfid. One artifact: the score and its halves. The Frechet half is the laboratory's."""

    def run(self, params: ArtFidParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError where folders hold no pairs, JobFailed where the laboratory is not there."""
        if not context.pending(1):
            return
        if _FRECHET not in context.pipelines:
            raise JobFailed(f"{_FRECHET} is not there.", hint="Switch the extension metrics on.")
        network = params.network or _STARTER
        reader = context.feature_extractor(network)
        if not isinstance(reader, LayeredExtractor):
            raise ParameterError([FieldError("network", "expected a network that hands out its layers", network)])
        contents = _named_as_results(_pictures(context, "contents", params.contents))
        results = {path.stem: path for path in _pictures(context, "results", params.results)}
        names = sorted(contents.keys() & results.keys())
        if not names:
            raise ParameterError(
                [FieldError("results", "expected results that are called as their contents are")],
                hint="As the form Folder writes them.",
            )
        pairs, count, made = len(names), len(contents), len(results)
        if pairs < max(count, made):
            context.warn(f"{pairs} of {count} contents have a result of their name; there are {made} results.")
        kept = self._content(reader, {name: (contents[name], results[name]) for name in names}, context)
        told: list[Artifact] = []
        asked = {"real": params.styles, "generated": params.results, "network": network}
        context.run(_FRECHET, asked, count=8, take=told.append)
        name, frechet = first_score(told[0].data)
        title = context.feature_networks[network].title
        numbers = {
            f"ArtFD-{title}": art_fid(kept, frechet),
            "content distance": kept,
            name: frechet,
            "pairs": len(names),
            "definition": "(1 + content distance) (1 + Frechet distance); ArtFID itself is of LPIPS and Inception",
            "protocol": dict(reader.protocol),
        }
        yield Artifact("scalar", numbers, title=f"ArtFD-{title}")

    def _content(self, reader: Any, pairs: Mapping[str, tuple[Path, Path]], context: Context) -> float:
        found: list[float] = []
        extractor: FeatureExtractor = reader
        with context.models.lease({"network": extractor.component}) as parts, torch.inference_mode():
            for place, files in enumerate(pairs.values()):
                prepared = []
                for file in files:
                    with Image.open(file) as opened:
                        prepared.append(extractor.prepare(rgb_of(opened)))
                both = torch.from_numpy(np.stack(prepared)).to(context.device)
                layers = reader.layers(parts["network"], both)
                distance = layer_distance([one[:1] for one in layers], [one[1:] for one in layers])
                found.append(float(distance))
                context.progress(place + 1, len(pairs), "content")
        return float(np.mean(found))


def _pictures(context: Context, side: str, folder: str) -> list[Path]:
    """The pictures of a folder. Raises ParameterError that names its field."""
    try:
        found = context.open_folder(folder)
    except ParameterError as error:
        raise ParameterError(
            [FieldError(side, one.message, one.got) for one in error.fields], hint=error.hint
        ) from None
    return [path for path in sorted(found.iterdir()) if path.suffix.lower() in _ENDINGS]


def _named_as_results(contents: list[Path]) -> dict[str, Path]:
    """What a result is called without its ending -> the content: as the form Folder writes them, which keeps endings
    where names differ in them alone.
    """
    often = Counter(path.stem.casefold() for path in contents)
    return {path.stem if often[path.stem.casefold()] == 1 else path.name: path for path in contents}
