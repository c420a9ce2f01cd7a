"""The pipeline ``restoration.restore``: the chosen steps one after another, each on what the one before it left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from extensions.restoration.classical import cleaning, mending
from extensions.restoration.networks import foreign, own
from extensions.restoration.networks.deblurring import deblurred
from extensions.restoration.params import RestoreParams
from extensions.restoration.pictures.arrays import Pixels, to_picture, to_pixels
from webui.api import Artifact, Context, ModelError

from .borrowed import boxes_of_faces, larger, with_better_face

Step = Callable[[Pixels], Pixels]


class Restore:
    """Artifact 0 is the restored picture; 1, where it is asked for, the picture before at the same size."""

    def run(self, params: RestoreParams, context: Context) -> Iterator[Artifact]:
        """Raises ModelError, NotFound, JobFailed, Cancelled."""
        pending = context.pending(2 if params.before else 1)
        if not pending:
            return
        source = context.open_image(params.image)
        pixels = to_pixels(source)
        for name, step in self._steps(params, context):
            context.log.info("restoration: %s", name)
            pixels = step(pixels)
            context.preview(partial(to_picture, pixels))
        result = to_picture(pixels)
        scale = int(params.upscale)
        if scale > 1:
            result = larger(result, scale, params.upscaler, params.tile, context)
        if "A" in source.getbands():
            result.putalpha(source.getchannel("A").resize(result.size, Image.Resampling.LANCZOS))
        if 0 in pending:
            yield Artifact("image", result, index=0)
        if 1 in pending:
            before = source.convert("RGB").resize(result.size, Image.Resampling.BICUBIC)
            yield Artifact("image", before, index=1, title="Before")

    def _steps(self, params: RestoreParams, context: Context) -> Iterator[tuple[str, Step]]:
        """Those that are on, in their order."""
        if params.mask or params.scratches:
            yield "scratches", lambda pixels: self._mended(pixels, params, context)
        levels = (
            params.denoise_strength if params.denoise else 0.0,
            params.dejpeg_strength if params.dejpeg else 0.0,
            params.deblur_strength if params.deblur else 0.0,
        )
        if any(levels):
            yield "cleaning", lambda pixels: self._cleaned(pixels, levels, params, context)
        if params.fading and params.fading_strength:
            yield "fading", lambda pixels: cleaning.unfaded(pixels, params.fading_strength)
        if params.contrast:
            yield "contrast", lambda pixels: cleaning.with_local_contrast(pixels, params.contrast)
        if params.colourize and params.colourize_strength:
            yield "colours", lambda pixels: self._colourized(pixels, params, context)
        if params.faces and params.faces_strength:
            yield "faces", lambda pixels: self._faces(pixels, params, context)

    def _mended(self, pixels: Pixels, params: RestoreParams, context: Context) -> Pixels:
        mask = np.zeros(pixels.shape[:2], np.bool_)
        if params.mask:
            size = (pixels.shape[1], pixels.shape[0])
            mask |= np.asarray(context.open_image(params.mask).convert("L").resize(size)) > 127
        by_network = params.scratches_by == "network" and _has_own("scratches", context)
        if params.scratches and not by_network:
            mask |= mending.grown(mending.thin_lines(pixels, params.scratches_strength), 1)
        elif params.scratches:
            with _own("scratches", context) as network:
                found = own.scratch_mask(
                    network, pixels, params.scratches_strength, params.tile, _told(context, "scratches")
                )
            mask |= mending.grown(found, 1)
        if not mask.any():
            return pixels
        if params.filling != "model":
            return mending.filled(pixels, mask, params.filling)
        component = foreign.foreign_component(context, params.filling_model, "Inpainting")
        with context.models.lease({"network": component}) as parts:
            return foreign.filled_by(parts["network"], pixels, mask, _told(context, "filling"))

    def _cleaned(
        self, pixels: Pixels, levels: tuple[float, float, float], params: RestoreParams, context: Context
    ) -> Pixels:
        noise, jpeg, blur = levels
        if params.cleaned_by == "classical" or (params.cleaned_by == "network" and not _has_own("restorer", context)):
            pixels = cleaning.deblocked(cleaning.denoised(pixels, noise), jpeg)
            return cleaning.sharpened(pixels, blur, cleaned=bool(noise or jpeg))
        if params.cleaned_by == "model":
            component = foreign.foreign_component(context, params.cleaning_model, "Restoration")
            with context.models.lease({"network": component}) as parts:
                return foreign.cleaned(parts["network"], pixels, params.tile, _told(context, "cleaning"))
        with _own("restorer", context) as network:
            if noise or jpeg:
                pixels = own.restored(network, pixels, (noise, jpeg), params.tile, _told(context, "cleaning"))
            # What noise there was is gone: little is left that deconvolution would make louder.
            told = _told(context, "sharpening")
            return deblurred(network, pixels, blur, cleaned=bool(noise or jpeg), tile=params.tile, progress=told)

    def _colourized(self, pixels: Pixels, params: RestoreParams, context: Context) -> Pixels:
        hints = None
        if params.hints:
            size = (pixels.shape[1], pixels.shape[0])
            hints = to_pixels(context.open_image(params.hints).convert("RGB").resize(size))
        with _own("colourizer", context) as network:
            return own.colourized(network, pixels, params.colourize_strength, hints, _told(context, "colours"))

    def _faces(self, pixels: Pixels, params: RestoreParams, context: Context) -> Pixels:
        component = foreign.foreign_component(context, params.faces_model, "FaceSR")
        boxes = boxes_of_faces(pixels, context)
        if not boxes:
            context.warn("No face was found to restore.")
            return pixels
        with context.models.lease({"network": component}) as parts:
            for number, box in enumerate(boxes, start=1):
                pixels = with_better_face(parts["network"], pixels, box, params.faces_strength)
                context.progress(number, len(boxes), "faces")
        return pixels


@contextmanager
def _own(task: str, context: Context) -> Iterator[Any]:
    """One of our own networks, for the time of the ``with`` block."""
    model = own.find_own(context, task)
    assert model.path is not None
    with context.models.lease({"network": own.component(model.path, task, context)}) as parts:
        yield parts["network"]


def _has_own(task: str, context: Context) -> bool:
    """Whether the network of a task is there; a warning says what is done without it."""
    try:
        own.find_own(context, task)
    except ModelError as error:
        context.warn(f"{error.message} Filters that need no network do it.")
        return False
    return True


def _told(context: Context, message: str) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, message)
