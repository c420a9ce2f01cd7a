"""style.optimise: a picture searched for step by step, with previews on the way."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from extensions.style.networks.encoder import Encoder
from extensions.style.networks.loading import encoder_component
from extensions.style.networks.optimizing import Search, search, style_targets
from extensions.style.params import GatysParams
from extensions.style.pictures.preparing import prepared, to_floats, to_tensor
from extensions.style.pictures.reading import to_picture
from extensions.style.scores.beside import as_infotext, measured
from webui.api import Artifact, Context


class Optimise:
    """style.optimise. One artifact: the picture, with its distances beside it."""

    def run(self, params: GatysParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError, NotFound and ModelError where a picture or the encoder is missing."""
        if not context.pending(1):
            return
        ready = prepared(context, params)
        how = Search(params.way, params.steps, 10**params.balance, params.smoothness)

        def told(step: int, picture: Tensor) -> None:
            context.preview(lambda: to_picture(to_floats(picture)))
            context.progress(step, params.steps, "searching")

        with context.models.lease({"encoder": encoder_component(context, params.encoder)}) as leased:
            encoder: Encoder = leased["encoder"]
            content = to_tensor(ready.content).to(context.device)
            references = [to_tensor(one).to(context.device) for one in ready.references]
            start = content
            if params.start == "noise":
                noise = torch.rand(content.shape, generator=context.generator(params.seed))
                start = noise.to(context.device)
            with torch.no_grad():
                wanted = encoder(content, (encoder.plan.content,))[encoder.plan.content]
            styles = style_targets(encoder, references, ready.shares)
            made = to_floats(search(encoder, start, wanted, styles, how, told))
            found = measured(encoder, ready, made)
            title = encoder.plan.title
        yield Artifact(
            "image", ready.finished(made, params.strength), seed=params.seed, infotext=as_infotext(found, title)
        )
