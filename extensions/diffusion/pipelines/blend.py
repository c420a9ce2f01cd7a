"""The pipeline ``diffusion.blend``: another picture mixed into one under a mask, in latents, then denoised together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from extensions.diffusion.drawing.from_pictures import PictureTask, drawn_out
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import takes
from extensions.diffusion.params_pictures import Blend
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from webui.api import Context, ModelError

from .inpaint import InpaintTask


class BlendTask(InpaintTask):
    """As inpainting on a base model, whose beginning under the mask is a mixture of two pictures' latents (the mask
    and the way of holding the rest: Avrahami et al. 2023, "Blended Latent Diffusion", algorithm 1).
    """

    params: Blend
    unmasked_hint = "Paint over what should change, or give a mask."

    def __init__(self, params: Blend, context: Context) -> None:
        super().__init__(params, context)
        self._other = on_ground(open_picture(context, params.other))

    def planned(self, plan: Plan) -> Plan:
        found = PictureTask.planned(self, plan)
        if not takes(found.cls, "callback_on_step_end"):
            raise ModelError(f"Model {plan.title!r} is a {plan.cls.__name__}, which shows nothing between its steps.")
        self._blended = True
        return found

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        canvas, size = self._masked(indices[0]), (call.width, call.height)
        other = fitted(self._other, canvas.whole.size, self.params.resize_mode).crop(canvas.box)
        other = drawn_out(fitted(other, canvas.picture.size, "stretch"), size)
        where = Image.new("L", size)
        where.paste(canvas.covered, (0, 0))
        pipe.vae = MixingVae(pipe.vae, other, where, self.params.amount)

    def infotext(self) -> dict[str, str]:
        return {**super().infotext(), "Blend amount": f"{self.params.amount:g}"}


class MixingVae(torch.nn.Module):
    """What stands in a pipeline in place of its VAE for one call: it encodes a picture as that picture's latents mixed
    with another's. The mixture stands before the family's shift and scale, which are affine: the same thing after.
    """

    def __init__(self, inner: Any, other: Image.Image, where: Image.Image, amount: float) -> None:
        """``where``: mode L of the size of ``other``, 255 where ``amount`` of it is mixed in."""
        super().__init__()
        self.inner = inner
        self._other = torch.from_numpy(np.asarray(other.convert("RGB"), np.float32) / 127.5 - 1).permute(2, 0, 1)
        self._share = torch.from_numpy(np.asarray(where, np.float32) / 255 * amount)[None, None]

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def encode(self, pixels: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """float [N,3,H,W] or [N,3,1,H,W] in -1..1, of the other's size -> as the VAE answers."""
        own = self.inner.encode(pixels, *args, **kwargs)
        rows = self._other.reshape(1, 3, *[1] * (pixels.ndim - 4), *self._other.shape[1:]).expand_as(pixels)
        other = self.inner.encode(rows.to(pixels).contiguous(), *args, **kwargs)
        if not hasattr(own, "latent_dist"):
            return SimpleNamespace(latents=self.mixed(own.latents, other.latents))
        return SimpleNamespace(latent_dist=_Mixture(self, own.latent_dist, other.latent_dist))

    def mixed(self, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Latents [N,C,h,w] or [N,C,1,h,w] of both, by the share of the mask over each."""
        share = torch.nn.functional.adaptive_avg_pool2d(self._share, own.shape[-2:]).to(own)
        return torch.lerp(own, other, share.reshape(*[1] * (own.ndim - 2), *share.shape[-2:]))


@dataclass(frozen=True)
class _Mixture:
    """As a VAE's distribution; chance is the first picture's alone."""

    vae: MixingVae
    own: Any
    other: Any

    def sample(self, generator: Any = None) -> torch.Tensor:
        return self.vae.mixed(self.own.sample(generator), self.other.mode())

    def mode(self) -> torch.Tensor:
        return self.vae.mixed(self.own.mode(), self.other.mode())


class BlendPipeline(DrawingPipeline):
    """Blending."""

    task = BlendTask
