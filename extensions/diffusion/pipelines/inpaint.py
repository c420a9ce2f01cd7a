"""The pipeline ``diffusion.inpaint``: draws what a mask covers and leaves every other pixel as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageOps

from extensions.diffusion.drawing.from_pictures import Canvas, PictureTask
from extensions.diffusion.drawing.making import DrawingPipeline
from extensions.diffusion.drawing.noising import next_timestep, packed_as
from extensions.diffusion.models.guidance import Call
from extensions.diffusion.models.loading import Plan
from extensions.diffusion.models.siblings import as_class, made_for, sibling, takes
from extensions.diffusion.params_pictures import Blend, Inpaint
from extensions.diffusion.pictures import masks
from extensions.diffusion.pictures.inputs import alpha_of, extended, fitted, on_ground, open_picture
from webui.api import Context, JobFailed, ModelError


@dataclass(frozen=True)
class MaskedCanvas(Canvas):
    """``picture`` and ``covered`` are what is drawn and where, at one size: all of ``whole``, or its ``box`` scaled."""

    whole: Image.Image
    """The picture as it was, at the size of the result."""
    soft: Image.Image
    """How much of each pixel is new, at that size."""
    covered: Image.Image
    box: masks.Box


class InpaintTask(PictureTask):
    """Base models are held to the picture outside the mask at each step (Lugmayr et al. 2022, "RePaint", equation 8,
    without its resampling); models made for it take the mask as input. Pixels outside the softened mask are the
    source's own.
    """

    params: Inpaint | Blend
    unmasked_hint = "Paint over what should change, give a mask, or outpaint a side."

    def __init__(self, params: Inpaint | Blend, context: Context) -> None:
        super().__init__(params, context)
        self._blended = False
        self._covered: Image.Image | None = None
        self._latent_mask: torch.Tensor | None = None

    @property
    def content(self) -> str:
        """What stands under the mask at first."""
        return self.params.masked_content if isinstance(self.params, Inpaint) else "original"

    @property
    def sides(self) -> tuple[int, int, int, int]:
        """Pixels to add on the left, at the top, on the right, at the bottom."""
        params = self.params
        if not isinstance(params, Inpaint):
            return 0, 0, 0, 0
        return params.outpaint_left, params.outpaint_top, params.outpaint_right, params.outpaint_bottom

    # The picture

    def _prepared(self, picture: Image.Image) -> MaskedCanvas:
        params = self.params
        flat, mask = on_ground(picture), self._mask(picture)
        if any(self.sides):
            flat, mask = _outpainted(flat, mask, self.sides, params.mask_blur)
        if not params.only_masked:
            target = self._target(flat.size)
            mask = fitted(mask, target, params.resize_mode, smooth=False)
            flat = fitted(flat, target, params.resize_mode)
        mask = masks.grown(mask, params.mask_grow)
        soft = masks.softened(mask, params.mask_blur)
        box: masks.Box | None = (0, 0, *flat.size)
        if params.only_masked:
            ratio = params.width / params.height if params.width and params.height else None
            box = masks.region(soft, params.padding, ratio)
        if box is None or soft.getbbox() is None:
            raise JobFailed("Nothing is masked.", hint=self.unmasked_hint)
        part, covered = flat.crop(box), masks.hard(soft).crop(box)
        size = self._region_size(part.size) if params.only_masked else part.size
        part, covered = fitted(part, size, "stretch"), masks.hard(fitted(covered, size, "stretch"))
        if self.content == "fill":
            part = masks.filled(part, covered)
        return MaskedCanvas(part, flat, soft, covered, box)

    def _mask(self, picture: Image.Image) -> Image.Image:
        """The mask at the picture's size, as it is declared: painted, from a file, by colour, by transparency."""
        params = self.params
        given = [masks.of_picture(open_picture(self.context, ref)) for ref in (params.mask, params.mask_file) if ref]
        parts = [fitted(mask, picture.size, "stretch", smooth=False) for mask in given]
        if params.mask_by == "colour":
            parts.append(masks.of_colour(on_ground(picture), params.mask_colour, params.mask_tolerance))
        alpha = alpha_of(picture)
        if params.mask_by == "transparency" and alpha is not None:
            parts.append(ImageOps.invert(alpha))
        whole = masks.united(Image.new("L", picture.size), *parts)
        return ImageOps.invert(whole) if params.mask_invert else whole

    def _region_size(self, own: tuple[int, int]) -> tuple[int, int]:
        """The size to draw a region of ``own`` px at: the one asked for, else the model's area in its own ratio."""
        if self.params.width and self.params.height:
            return self.params.width, self.params.height
        scale = (self.native_px**2 / (own[0] * own[1])) ** 0.5
        return max(1, round(own[0] * scale)), max(1, round(own[1] * scale))

    def ready(self, index: int) -> Image.Image | None:
        return self._masked(index).whole if self.strength == 0 else None

    def _masked(self, index: int) -> MaskedCanvas:
        canvas = self.canvas(index)
        assert isinstance(canvas, MaskedCanvas)
        return canvas

    # The model

    def planned(self, plan: Plan) -> Plan:
        self.note_native(plan)
        if made_for(plan) == "editing":
            raise ModelError(f"Model {plan.title!r} was made for editing.", hint="Use the form Edit.")
        takes_mask = plan.cls if takes(plan.cls, "image", "mask_image") else sibling(plan, "inpaint")
        own = made_for(plan) == "inpainting" or (takes_mask is plan.cls and "unet" not in plan.sources)
        if own and takes_mask is not None:
            return as_class(plan, takes_mask)
        found = plan.cls if takes(plan.cls, "image", "strength") and takes_mask is not plan.cls else None
        found = found or sibling(plan, "img2img")
        if found is not None and takes(found, "image", "strength", "callback_on_step_end"):
            self._blended = True
            return as_class(plan, found)
        if takes_mask is not None and takes(takes_mask, "image", "mask_image"):
            return as_class(plan, takes_mask)
        raise ModelError(f"Model {plan.title!r} is a {plan.cls.__name__}, which has no way to inpaint.")

    def complete(self, call: Call, pipe: Any, plan: Plan, indices: Sequence[int]) -> None:
        super().complete(call, pipe, plan, indices)
        canvas = self._masked(indices[0])
        covered = Image.new("L", (call.width, call.height))
        covered.paste(canvas.covered, (0, 0))
        if not self._blended:
            call.arguments["mask_image"] = covered
            return
        self._covered, self._latent_mask = covered, None

    def begun(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        if self._covered is None:
            return clean
        covered = self._covered
        shape = (clean.shape[-2], clean.shape[-1])
        self._latent_mask = masks.of_latents(covered, shape).to(clean.device, clean.dtype)
        under = {"noise": noise, "nothing": torch.zeros_like(clean)}.get(self.content)
        return clean if under is None else torch.where(self._latent_mask > 0, under, clean)

    def after_step(self, pipe: Any, number: int, timestep: Any, tensors: Mapping[str, Any]) -> dict[str, Any]:
        beginning, mask = self.beginning, self._latent_mask
        if not self._blended or beginning is None or beginning.clean is None or mask is None:
            return {}
        latents = tensors["latents"]
        as_it_was = beginning.noisy(next_timestep(pipe, number))
        new = packed_as(pipe, mask.expand_as(as_it_was).contiguous(), latents) > 0
        return {"latents": torch.where(new, latents, packed_as(pipe, as_it_was, latents).to(latents.dtype))}

    # The result

    def finished(self, images: Sequence[Image.Image], indices: Sequence[int]) -> list[Image.Image]:
        canvas = self._masked(indices[0])
        left, top, right, bottom = canvas.box
        results = []
        for image in super().finished(images, indices):
            new = canvas.whole.copy()
            new.paste(fitted(image.convert("RGB"), (right - left, bottom - top), "stretch"), (left, top))
            results.append(Image.composite(new, canvas.whole, canvas.soft))
        return results

    def infotext(self) -> dict[str, str]:
        words = {"noise": "latent noise", "nothing": "latent nothing"}
        return {
            **super().infotext(),
            "Mask blur": str(self.params.mask_blur),
            "Masked content": words.get(self.content, self.content),
        }


def _outpainted(
    picture: Image.Image, mask: Image.Image, sides: tuple[int, int, int, int], overlap: int
) -> tuple[Image.Image, Image.Image]:
    """Picture and mask with room at the sides (left, top, right, bottom px): the edges drawn out, all of it masked, and
    ``overlap`` px of the old picture with it, so that no seam shows.
    """
    left, top, right, bottom = sides
    inner = (
        overlap if left else 0,
        overlap if top else 0,
        picture.width - (overlap if right else 0),
        picture.height - (overlap if bottom else 0),
    )
    old = Image.new("L", picture.size, 255)
    if inner[0] < inner[2] and inner[1] < inner[3]:
        old.paste(mask.crop(inner), inner[:2])
    grown = Image.new("L", (picture.width + left + right, picture.height + top + bottom), 255)
    grown.paste(old, (left, top))
    return extended(picture, left, top, right, bottom), grown


class InpaintPipeline(DrawingPipeline):
    """Inpainting and outpainting."""

    task = InpaintTask
