"""The pipeline ``diffusion.inject``: a picture in the style of another, whose keys and values its self-attention reads
(Chung et al. 2024, "Style Injection in Diffusion: A Training-free Approach for Adapting Large-scale Diffusion Models
for Style Transfer").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from extensions.diffusion.compute.sharing import Injection, finer_upward, like, like_at_own_strength, self_attentions
from extensions.diffusion.drawing.companions import Accompanied, Record, encoded, inverted, watched, with_words
from extensions.diffusion.drawing.from_pictures import PictureTask, drawn_out
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.drawing.task import Task
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import needs_unet
from extensions.diffusion.params_adapters import Adapted
from extensions.diffusion.params_pictures import Img2Img
from extensions.diffusion.params_style import Inject
from extensions.diffusion.pictures.inputs import fitted, on_ground, open_picture
from webui.api import Artifact, Context

_START: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "own": like_at_own_strength,
    "adain": partial(like, dim=(2, 3)),
    "content": lambda noise, _: noise,
}
"""Noise [1,C,h,w] of the picture and of the reference -> what the result begins with."""


class InjectTask(PictureTask):
    """Both pictures are led back to noise without a prompt, and forth again beside the one that is made."""

    alters = True

    def __init__(self, params: Img2Img, context: Context, asked: Inject) -> None:
        super().__init__(params, context)
        self._asked = asked

    @property
    def strength(self) -> float:
        return 1.0  # it begins with noise

    def planned(self, plan: Plan) -> Plan:
        self.note_native(plan)
        return needs_unet(Task.planned(self, plan), "Injection into attention")

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        self._drawn_size = (call.width, call.height)

    def accompany(
        self, pipe: Any, call: Call, components: Mapping[str, Any], indices: Sequence[int]
    ) -> Callable[[], None]:
        asked, size = self._asked, (call.width, call.height)
        style = fitted(on_ground(open_picture(self.context, asked.style_image)), size, "crop")
        told = with_words(pipe, call, components, self.words(indices), self.params)
        found: list[tuple[Record, torch.Tensor]] = []
        for picture, said in ((self.canvas(indices[0]).picture, "picture"), (style, "reference")):
            arguments = {**told, "callback_on_step_end": watched(self.context, said)}
            found.append(inverted(pipe, arguments, encoded(pipe, drawn_out(picture, size), *size)))
        (content, noise), (reference, other) = found
        call.arguments["latents"] = _START[asked.start](noise, other)
        names = list(self_attentions(components["unet"]))
        layers = {
            "finer": finer_upward(names),
            "up": frozenset(name for name in names if name.startswith("up_blocks.")),
            "all": frozenset(names),
        }[asked.layers]
        coupling = Injection(asked.preservation, asked.temperature, layers)
        accompanied = Accompanied(pipe.unet, components["unet"], [content, reference], coupling)
        pipe.unet = accompanied
        return accompanied.restart

    def infotext(self) -> dict[str, str]:
        return {"Style injection": f"{self._asked.preservation:g}, temperature {self._asked.temperature:g}"}


class InjectPipeline(DrawingPipeline):
    """One picture from two."""

    def run(self, params: Inject, context: Context) -> Iterator[Artifact]:  # type: ignore[override]
        """Raises as every pipeline that draws does."""
        own = {name: getattr(params, name) for name in Adapted.model_fields}
        own |= {name: getattr(params, name) for name in ("image", "model", "width", "height", "steps")}
        own |= {"sampler": "DDIM", "guidance_scale": 1.0, "seed": 0}
        self.task = partial(InjectTask, asked=params)  # type: ignore[assignment]
        yield from super().run(Img2Img.model_validate(own), context)
