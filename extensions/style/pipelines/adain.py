"""style.adain: the style of references in one pass of two small networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from extensions.style.networks.encoder import Decoder, Encoder
from extensions.style.networks.loading import decoder_component, encoder_component
from extensions.style.networks.statistics import fused
from extensions.style.networks.tiles import decoded, encoded, padded
from extensions.style.params import AdainParams
from extensions.style.pictures.preparing import Ready, prepared, to_floats, to_tensor
from extensions.style.scores.beside import as_infotext, measured
from webui.api import Artifact, Context


class Adain:
    """style.adain. One artifact: the picture, with its distances beside it."""

    def run(self, params: AdainParams, context: Context) -> Iterator[Artifact]:
        """Raises ParameterError, NotFound and ModelError where a picture or the networks are missing."""
        if not context.pending(1):
            return
        ready = prepared(context, params)
        parts = {"encoder": encoder_component(context, ""), "decoder": decoder_component(context)}
        with context.models.lease(parts) as leased, torch.inference_mode():
            made = to_floats(styled(leased["encoder"], leased["decoder"], ready, params, context))
            picture = ready.finished(made)
            said = as_infotext(measured(leased["encoder"], ready, made), leased["encoder"].plan.title)
        context.progress(1, 1, "style")
        yield Artifact("image", picture, infotext=said)


def styled(encoder: Encoder, decoder: Decoder, ready: Ready, params: AdainParams, context: Context) -> Tensor:
    """[1,3,H,W], about 0..1: the content in the references' statistics, each over the whole of its picture."""
    device = context.device

    def encode(pictures: Tensor) -> list[Tensor]:
        context.check_cancelled()
        return seen(encoder, decoder, pictures)

    def decode(activations: Tensor, finer: Sequence[Tensor]) -> Tensor:
        context.check_cancelled()
        return decoder(activations, finer)

    content = padded(to_tensor(ready.content).to(device))
    kept = encoded(encode, content, params.tile)
    styles = [encoded(encode, padded(to_tensor(one).to(device)), params.tile) for one in ready.references]
    target = [
        fused(one, theirs, regions(ready, one), params.strength) for one, *theirs in zip(kept, *styles, strict=True)
    ]
    height, width = ready.content.shape[:2]
    return decoded(decode, target, params.tile)[..., :height, :width]


def seen(encoder: Encoder, decoder: Decoder, pictures: Tensor) -> list[Tensor]:
    """What of ``pictures`` the decoder reads, from coarse to fine."""
    places = (encoder.plan.content, *decoder.taken)
    found = encoder(pictures, places)
    return [found[place] for place in places]


def regions(ready: Ready, activations: Tensor) -> list[float | Tensor]:
    """What each reference has of a place: its share, or a map [1,1,h,w] where they have masks. Where masks lie over one
    another they share the place by weight; where none lies, it stays as it is.
    """
    if not ready.places:
        return list(ready.shares)
    maps = []
    for place, share in zip(ready.places, ready.shares, strict=True):
        mask = padded(torch.from_numpy(place).float()[None, None]).to(activations.device)
        maps.append(functional.avg_pool2d(mask, mask.shape[-1] // activations.shape[-1]) * share)
    covered = torch.stack([one / max(share, 1e-9) for one, share in zip(maps, ready.shares, strict=True)]).amax(dim=0)
    total = torch.stack(maps).sum(dim=0).clamp(min=1e-9)
    return [one / total * covered for one in maps]
