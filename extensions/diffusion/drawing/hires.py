"""Passes after the first: pictures that were drawn are enlarged and drawn over at a lower strength, by the same model
(hires fix) or by another one (a refiner).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.nn.functional import interpolate

from extensions.diffusion.drawing.from_pictures import Canvas, PictureTask
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import takes
from extensions.diffusion.models.sizes import fit_size, size_multiple
from extensions.diffusion.params import HIRES_LATENT, HIRES_MODES, Txt2Img
from extensions.diffusion.pictures.upscaling import brought_to, enlarged, find_upscaler, passes, upscaler_component
from webui.api import Context

from .groups import Drawing
from .previews import unpacked
from .task import Task

_TILE_PX, _OVERLAP_PX = 512, 32


class FirstPass(Task):
    """Text to image that keeps the last latents of each picture, [C,h,w], where that layout can be told."""

    def __init__(self, params: Txt2Img, context: Context) -> None:
        super().__init__(params, context)
        self.latents: list[torch.Tensor] = []
        self.until = 1.0
        """The share of the steps after which another model goes on."""
        self._size = (0, 0)

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        self._size = (call.width, call.height)
        if self.until < 1:
            call.arguments["denoising_end"] = self.until

    def after_step(self, pipe: Any, number: int, timestep: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
        latents = tensors.get("latents")
        plain = unpacked(latents.detach(), pipe, *self._size) if isinstance(latents, torch.Tensor) else None
        self.latents = [] if plain is None else list(plain)
        return {}


class LaterPass(PictureTask):
    """Image to image over the pictures of an earlier pass."""

    params: Any

    def __init__(self, params: Txt2Img, context: Context, strength: float, steps: int | None) -> None:
        super().__init__(params, context)
        self._strength = strength
        self._steps = steps or params.steps or 1
        self.pictures: dict[int, Image.Image] = {}
        self.latents: list[torch.Tensor] = []
        """Of the earlier pass at this one's size, to begin with in the pictures' place; none: their own."""

    def _sources(self) -> tuple[str, ...]:
        return ("",)

    @property
    def strength(self) -> float:
        return self._strength

    @property
    def asked_steps(self) -> int:
        return self._steps

    def canvas(self, index: int) -> Canvas:
        return Canvas(self.pictures[index])

    def begun(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        if not self.latents:
            return clean
        own = torch.stack(self.latents).to(clean)
        # Families that make films too have an axis of time, before the channels or after them.
        shaped = (own, own[:, :, None], own[:, None])
        return next((one for one in shaped if one.shape == clean.shape), clean)


class HandedOver(LaterPass):
    """The last part of the steps by another model of the same latents, in place of the one that began (Podell et al.
    2023, "SDXL", section 2.5: the refiner as an expert of the last noise levels).
    """

    def __init__(self, params: Txt2Img, context: Context, begins: float) -> None:
        super().__init__(params, context, 1.0, None)
        self._begins = begins

    @property
    def steps(self) -> int:
        return max(1, round(self.asked_steps * (1 - self._begins)))

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        call.arguments.pop("strength", None)
        call.arguments |= {
            "image": torch.stack(self.latents),
            "denoising_start": self._begins,
            "num_inference_steps": self.asked_steps,
        }

    def infotext(self) -> dict[str, str]:
        return {}


class Passes:
    """A first drawing and those that go over its pictures, as one drawing."""

    def __init__(self, first: Drawing, task: FirstPass, later: Sequence[_Pass]) -> None:
        self._first, self._task, self._later = first, task, later
        self.alone = first.alone

    def draw(self, indices: Sequence[int]) -> list[Image.Image]:
        """As ``Drawing.draw``."""
        images, latents = self._first.draw(indices), self._task.latents
        for one in self._later:
            images = one.over(images, latents, indices)
            latents = []
        return images

    def infotext(self) -> dict[str, str]:
        pairs = self._first.infotext()
        for one in self._later:
            pairs |= one.infotext
        return pairs


class _Pass:
    """One later pass: how pictures are enlarged for it, and the drawing that goes over them."""

    def __init__(
        self,
        drawing: Drawing,
        task: LaterPass,
        enlarge: Callable[[Image.Image], Image.Image],
        infotext: Mapping[str, str],
        latent_mode: str = "",
    ) -> None:
        self._drawing, self._task, self._enlarge = drawing, task, enlarge
        self._latent_mode = latent_mode
        self.infotext = dict(infotext)

    def over(
        self, images: Sequence[Image.Image], latents: Sequence[torch.Tensor], indices: Sequence[int]
    ) -> list[Image.Image]:
        task = self._task
        task.pictures = {index: self._enlarge(image) for index, image in zip(indices, images, strict=True)}
        larger = task.pictures[indices[0]].size
        factor = larger[0] / images[0].width, larger[1] / images[0].height
        if isinstance(task, HandedOver):
            task.latents = list(latents)
        else:
            task.latents = [self._resized(row, factor) for row in latents] if self._latent_mode else []
        return self._drawing.draw(indices)

    def _resized(self, latents: torch.Tensor, factor: tuple[float, float]) -> torch.Tensor:
        size = (round(latents.shape[-2] * factor[1]), round(latents.shape[-1] * factor[0]))
        mode, smooth = HIRES_LATENT[self._latent_mode]
        resized = interpolate(latents[None].float(), size=size, mode=mode, antialias=smooth)
        return resized[0].to(latents.dtype)


def hires_pass(make: Callable[[Txt2Img, Task], Drawing], params: Txt2Img, context: Context) -> _Pass:
    """The second pass of the hires fix. ``make`` makes a drawing of the job's model. Raises NotFound, ModelError."""
    sampler = params.sampler if params.hires_sampler == "Same" else params.hires_sampler
    schedule = params.schedule if params.hires_sampler == "Same" else "Automatic"
    own = params.model_copy(update={"sampler": sampler, "schedule": schedule})
    task = LaterPass(own, context, params.hires_strength, params.hires_steps)
    drawing = make(own, task)
    way = params.hires_upscaler.strip() or params.hires_mode
    if way.lower() in (*HIRES_MODES, "none"):
        way = way.lower()
    by_network = way not in (*HIRES_MODES, "none")

    def enlarge(image: Image.Image) -> Image.Image:
        target = fit_size(
            round(image.width * params.hires_scale), round(image.height * params.hires_scale), _multiple(drawing.plan)
        )
        if by_network:
            return _by_network(image, target, way, context)
        return brought_to(image, target)

    told = {
        "Hires upscale": f"{params.hires_scale:g}",
        "Hires steps": str(params.hires_steps or params.steps),
        "Hires upscaler": way if by_network else way.capitalize(),
        "Denoising strength": f"{params.hires_strength:g}",
    }
    return _Pass(drawing, task, enlarge, told, way if way in HIRES_LATENT else "")


@dataclass(frozen=True)
class Refiner:
    """Another model, for the later part of a job."""

    title: str
    kin: bool
    """Whether it is of the first model's family, so that what is attached to that one fits it too."""
    make: Callable[[Txt2Img, Task], Drawing]


def refiner_pass(refiner: Refiner, params: Txt2Img, context: Context) -> _Pass:
    """A pass of another model over the finished picture, at its own size."""
    own = params.model_copy(update={"sampler": "Automatic", "schedule": "Automatic", "vae": ""})
    task = LaterPass(own, context, params.refiner_strength, None)
    task.attached = refiner.kin
    return _Pass(refiner.make(own, task), task, lambda image: image, {"Refiner": refiner.title})


def handed_over(refiner: Refiner, params: Txt2Img, context: Context, first: tuple[Drawing, FirstPass]) -> _Pass | None:
    """Another model for the last part of the steps; None, which is told, where one of the two cannot do that."""
    begins, (drawing, task) = params.refiner_start, first
    own = params.model_copy(update={"vae": ""})
    later = HandedOver(own, context, begins)
    later.attached = refiner.kin
    second = refiner.make(own, later)
    reason = ""
    if params.hires_scale > 1:
        reason = "the hires fix comes between"
    elif not takes(drawing.plan.cls, "denoising_end"):
        reason = f"{drawing.plan.cls.__name__} cannot stop midway"
    elif not takes(second.plan.cls, "denoising_start"):
        reason = f"{second.plan.cls.__name__} cannot begin midway"
    elif _latent_space(drawing.plan) != _latent_space(second.plan):
        reason = "their latents differ"
    if reason:
        context.warn(f"The refiner goes over the finished picture: {reason}.")
        return None
    task.until = begins
    told = {"Refiner": refiner.title, "Refiner switch at": f"{begins:g}"}
    return _Pass(second, later, lambda image: image, told)


def _latent_space(plan: Plan) -> tuple[Any, ...]:
    """What two models' latents must have in common."""
    config = plan.config("vae")
    return tuple(config.get(name) for name in ("latent_channels", "scaling_factor", "shift_factor"))


def _multiple(plan: Plan) -> int:
    """What sizes must be multiples of, before a pipeline is there."""
    blocks = plan.config("vae").get("block_out_channels") or ()

    class _Scale:
        vae_scale_factor = 2 ** (len(blocks) - 1) if blocks else 8

    return size_multiple(_Scale(), plan)


def _by_network(image: Image.Image, target: tuple[int, int], ref: str, context: Context) -> Image.Image:
    model = find_upscaler(context, ref)
    with context.models.lease({"upscaler": upscaler_component(model, context.models)}) as parts:
        network = parts["upscaler"]
        for _ in passes(image.size, target, network.scale):
            image = enlarged(network, image, context, tile=_TILE_PX, overlap=_OVERLAP_PX)
    return brought_to(image, target)


__all__ = ["FirstPass", "HandedOver", "LaterPass", "Passes", "Refiner", "handed_over", "hires_pass", "refiner_pass"]
