"""gan.complete: pictures from codes that a prior draws, whole or below the kept part of a picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from PIL import Image
from torch import Tensor

from extensions.gan.latents.generator import Held, seeded, to_uint8
from extensions.gan.latents.reading import chosen_class
from extensions.gan.networks.code_model import CodeModel
from extensions.gan.params import CodesParams
from webui.api import Artifact, Context

from .making import Batch, component, refuse, resolved

_PREVIEW_EVERY = 8


class Complete:
    """gan.complete: picture i is that of seed + i."""

    def run(self, params: CodesParams, context: Context) -> Iterator[Artifact]:
        """Artifacts: the pictures. A picture that is wholly kept is only encoded and decoded, once."""
        whole = params.image is not None and params.kept >= 1.0
        left = context.pending(1 if whole else params.samples)
        if not left:
            return
        picture = None if params.image is None else context.open_image(params.image)
        with coded(context, params.model) as held:
            model: CodeModel = held.network  # type: ignore[assignment]
            codes = None if picture is None else encoded(model, picture)
            if whole:
                assert codes is not None
                yield Artifact("image", decoded(model, codes), seed=params.seed, title="Reconstruction")
                return
            if model.prior is None:
                raise refuse(
                    "model", "this file has no prior to draw codes with; it can only encode and decode (kept: 1)"
                )
            rows = 0 if codes is None else round(params.kept * model.side)
            known = None if codes is None else codes[:, :rows].flatten(1)
            names = held.config.get("labels")
            chosen = chosen_class(params.class_label, model.c_dim, names if isinstance(names, list) else [])
            if params.prompt.strip() and model.conditioning.kind != "text":
                context.warn("The prior of this model reads no texts: the text was not used.")
            for part in Batch.of(context).parts(left):
                seeds = [params.seed + index for index in part]
                made = self._drawn(model, params, seeds, known, chosen, context)
                for index, seed, one in zip(part, seeds, made, strict=True):
                    yield Artifact("image", decoded(model, one[None]), index=index, seed=seed)

    def _drawn(
        self,
        model: CodeModel,
        params: CodesParams,
        seeds: list[int],
        known: Tensor | None,
        chosen: int | None,
        context: Context,
    ) -> Tensor:
        """Codes int64 [N,side,side]."""
        rows = []
        generators = [seeded(seed) for seed in seeds]
        for generator in generators:
            label = chosen if chosen is not None else self._any(model, generator)
            rows.append(model.condition(1, label=label, text=params.prompt))
        total = model.side**2

        def told(done: int) -> None:
            if done == total or done % _PREVIEW_EVERY == 0:
                context.progress(done, total, "drawing codes", batch=len(seeds))

        return model.sample(
            torch.cat(rows),
            generators,
            known=None if known is None else known.repeat(len(seeds), 1),
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            progress=told,
        )

    @staticmethod
    def _any(model: CodeModel, generator: torch.Generator) -> int:
        return int(torch.randint(max(1, model.c_dim), (1,), generator=generator))


@contextmanager
def coded(context: Context, ref: str) -> Iterator[Held]:
    """The model for the time of the block."""
    model = resolved(context, ref, "vqgan")
    with context.models.lease({"network": component(context.models, model, context.device)}) as parts:
        yield parts["network"]


@torch.no_grad()
def encoded(model: CodeModel, picture: Image.Image) -> Tensor:
    """Codes int64 [1,side,side] of a picture, its middle square scaled to the model's size."""
    from numpy import asarray

    picture = picture.convert("RGB")
    edge = min(picture.size)
    left, top = (picture.width - edge) // 2, (picture.height - edge) // 2
    square = picture.crop((left, top, left + edge, top + edge))
    square = square.resize((model.resolution, model.resolution), Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(asarray(square).copy()).permute(2, 0, 1)[None].float().div(127.5).sub(1)
    return model.autoencoder.encode(pixels.to(next(model.parameters()).device))


@torch.no_grad()
def decoded(model: CodeModel, codes: Tensor) -> Image.Image:
    """The picture of codes int64 [1,side,side]."""
    return Image.fromarray(to_uint8(model.autoencoder.decode(codes))[0].numpy())
