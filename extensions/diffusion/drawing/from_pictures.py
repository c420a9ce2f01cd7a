"""What is drawn from other pictures, as ``task.py`` says for text: sources made ready, size, strength and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class, made_for, reads_pictures, sibling, takes
from extensions.diffusion.models.sizes import size_multiple
from extensions.diffusion.params_pictures import Pictured
from extensions.diffusion.pictures.inputs import alpha_of, extended, fitted, on_ground, open_picture, within
from webui.api import Context, ModelError

from .noising import Beginning
from .task import Task

_AREA_MAX = 4
"""Times the area that a model was made for; larger pictures are drawn smaller where no size is asked for."""
_NATIVE_PX = 1024
"""Edge of the pictures a model was made for, where its configuration does not say."""


@dataclass(frozen=True)
class Canvas:
    """One picture made ready: ``picture`` is RGB at the size that was asked for."""

    picture: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.size


class PictureTask(Task):
    """Image to image. The pictures of a job come one source after the other, each ``batch_size * batch_count`` times.

    A size that the model cannot draw is drawn larger, over the picture's repeated edges, and cut back: results have
    the very size that was asked for.
    """

    params: Pictured

    def __init__(self, params: Pictured, context: Context) -> None:
        super().__init__(params, context)
        self.sources = self._sources()
        self._ready: tuple[str, Canvas] | None = None
        self.native_px = _NATIVE_PX
        self.beginning: Beginning | None = None
        self._drawn_size = (0, 0)

    @property
    def strength(self) -> float:
        """How far pictures may go from their sources; 1 where a pipeline does not ask."""
        return float(getattr(self.params, "strength", 1.0))

    @property
    def asked_steps(self) -> int:
        """Steps of which the strength leaves a part to be drawn."""
        return self.params.steps or 1

    def _sources(self) -> tuple[str, ...]:
        return (self.params.image, *getattr(self.params, "images", ()))

    @property
    def _each(self) -> int:
        return self.params.batch_size * self.params.batch_count

    @property
    def count(self) -> int:
        return self._each * len(self.sources)

    @property
    def steps(self) -> int:
        return int(enough_steps(super().steps, self.strength) * self.strength)

    def groups(self, indices: Sequence[int], size: int) -> list[Sequence[int]]:
        found: list[Sequence[int]] = []
        for place in range(len(self.sources)):
            found += super().groups([index for index in indices if index // self._each == place], size)
        return found

    def source_of(self, index: int) -> str:
        """The reference of the picture that ``index`` begins with."""
        return self.sources[index // self._each]

    def canvas(self, index: int) -> Canvas:
        """The source of ``index`` made ready; the last one is kept."""
        ref = self.source_of(index)
        if self._ready is None or self._ready[0] != ref:
            self._ready = (ref, self._prepared(open_picture(self.context, ref)))
        return self._ready[1]

    def _prepared(self, picture: Image.Image) -> Canvas:
        if alpha_of(picture) is not None:
            self.context.warn("Transparent places of the picture are taken as white.")
        flat = on_ground(picture)
        return Canvas(fitted(flat, self._target(flat.size), self.params.resize_mode))

    def _target(self, own: tuple[int, int]) -> tuple[int, int]:
        """The size of the result for a picture of size ``own``: a side that is not asked for follows the other."""
        width, height = self.params.width, self.params.height
        if width and height:
            return width, height
        if width or height:
            scale = width / own[0] if width else (height or 0) / own[1]
            return max(1, round(own[0] * scale)), max(1, round(own[1] * scale))
        size = within(own, _AREA_MAX * self.native_px**2)
        if size != own and self.strength:
            self.context.warn(
                f"The picture of {own[0]}x{own[1]} is drawn at {size[0]}x{size[1]}; ask for a size to change that."
            )
        return size if self.strength else own

    def ready(self, index: int) -> Image.Image | None:
        return self.canvas(index).picture if self.strength == 0 else None

    def note_native(self, plan: Plan) -> None:
        """Keep the edge of the pictures that the model was made for."""
        sample = plan.config("unet", "transformer").get("sample_size")
        blocks = plan.config("vae").get("block_out_channels") or ()
        if isinstance(sample, int) and blocks:
            self.native_px = sample * 2 ** (len(blocks) - 1)

    def planned(self, plan: Plan) -> Plan:
        self.note_native(plan)
        purpose = made_for(plan)
        if purpose:
            hint = {"editing": "Use the form Edit.", "inpainting": "Use the form Inpaint."}[purpose]
            raise ModelError(f"Model {plan.title!r} was made for {purpose}.", hint=hint)
        return as_class(plan, beginning_with_a_picture(plan))

    def asked_size(self, indices: Sequence[int]) -> tuple[int, int]:
        return self.canvas(indices[0]).size

    def size(self, pipe: Any, plan: Plan, indices: Sequence[int]) -> tuple[int, int]:
        multiple = size_multiple(pipe, plan)
        width, height = (math.ceil(edge / multiple) * multiple for edge in self.asked_size(indices))
        return width, height

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        self._drawn_size = (call.width, call.height)
        picture = drawn_out(self.canvas(indices[0]).picture, (call.width, call.height))
        # One copy for each generator: some pipelines encode a single picture with the first generator alone.
        call.arguments["image"] = picture if len(indices) == 1 else [picture] * len(indices)
        if takes(type(pipe), "strength"):
            call.arguments["strength"] = self.strength
            call.arguments["num_inference_steps"] = enough_steps(self.asked_steps, self.strength)

        scheduler = getattr(pipe, "scheduler", None)
        if hasattr(scheduler, "add_noise") or hasattr(scheduler, "scale_noise"):
            self.beginning = Beginning(scheduler, self.begun)

    def source(self, index: int) -> Image.Image | None:
        return drawn_out(self.canvas(index).picture, self._drawn_size)

    def begun(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The latents to begin with, from those of the picture."""
        return clean

    def finished(self, images: Sequence[Image.Image], indices: Sequence[int]) -> list[Image.Image]:
        size = self.canvas(indices[0]).size
        drawn = self._drawn_size
        return [
            image.crop((0, 0, *size)) if image.size == drawn else fitted(image, size, "stretch") for image in images
        ]

    def infotext(self) -> dict[str, str]:
        return {"Denoising strength": f"{self.strength:g}"}


def beginning_with_a_picture(plan: Plan) -> Any:
    """The image-to-image class of the model's family. Raises ModelError where there is none."""
    refuse_readers(plan)
    found = plan.cls if takes(plan.cls, "image", "strength") else sibling(plan, "img2img")
    if found is None or not takes(found, "image", "strength"):
        reason = "edits pictures by instruction" if takes(found or plan.cls, "image") else "has no image-to-image form"
        raise ModelError(
            f"Model {plan.title!r} is a {plan.cls.__name__}, which {reason}.",
            hint="Use another model." if "no" in reason else "Use the form Edit.",
        )
    return found


def refuse_readers(plan: Plan) -> None:
    """Raises ModelError for a model that reads a picture in place of a prompt."""
    if reads_pictures(plan.cls):
        raise ModelError(
            f"Model {plan.title!r} is a {plan.cls.__name__}, which draws variations of a picture.",
            hint="Use the form Variations.",
        )


def enough_steps(steps: int, strength: float) -> int:
    """The step count of which ``strength`` is at least one whole step, so that even a little strength is drawn."""
    while int(steps * strength) < 1:
        steps = max(steps + 1, math.ceil(1 / strength))
    return steps


def drawn_out(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """``picture`` at the upper left of ``size``, its right and lower edge repeated to the rest."""
    return extended(picture, 0, 0, size[0] - picture.width, size[1] - picture.height)
