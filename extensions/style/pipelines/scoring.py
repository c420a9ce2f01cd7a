"""style.score: distances of results that are there, beside those of the picture itself and its recolouring."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image

from extensions.style.accepting import weights_of
from extensions.style.colour.transfer import Transfer, transferred
from extensions.style.networks.encoder import Encoder
from extensions.style.networks.loading import encoder_component
from extensions.style.params import ScoreParams
from extensions.style.pictures.preparing import to_tensor
from extensions.style.pictures.reading import at_side, floats, references_of, rgb_of
from extensions.style.scores.distances import distances
from webui.api import Artifact, Context

_MEASURED_PX = 256


class Score:
    """style.score. One artifact: a table, a row for each result and two for the baselines."""

    def run(self, params: ScoreParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError, NotFound and ModelError where a picture or the encoder is missing."""
        if not context.pending(1):
            return
        content = rgb_of(at_side(context.open_image(params.image), _MEASURED_PX))
        pictures = references_of(context, params.references, params.ready, params.ready_seed)
        styles = [floats(at_side(one, _MEASURED_PX)) for one in pictures]
        shares = weights_of(params.weights, len(styles))
        rows: dict[str, Any] = {"picture itself": floats(content)}
        rows["colours alone"] = transferred(floats(content), styles, Transfer(), weights=shares)
        for place, ref in enumerate(params.results):
            result = rgb_of(context.open_image(ref)).resize(content.size, Image.Resampling.LANCZOS)
            rows[f"result {place + 1}"] = floats(result)
        with context.models.lease({"encoder": encoder_component(context, params.encoder)}) as leased:
            encoder: Encoder = leased["encoder"]
            kept = to_tensor(rows["picture itself"]).to(context.device)
            references = [to_tensor(one).to(context.device) for one in styles]
            table = []
            for name, values in rows.items():
                found = distances(encoder, to_tensor(values).to(context.device), kept, references, shares)
                table.append(
                    {
                        "picture": name,
                        "content distance": round(found.content, 4),
                        "style distance": round(found.style, 4),
                        "network": encoder.plan.title,
                    }
                )
                context.progress(len(table), len(rows), "measuring")
        yield Artifact("table", table, title="Distances: 0 is the same")
