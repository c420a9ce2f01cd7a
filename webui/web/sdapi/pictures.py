"""``png-info`` reads what a picture says of itself; ``extra-single-image`` enlarges one, by pixels or a network."""

from __future__ import annotations

import base64
import io
from typing import Any

from fastapi import APIRouter, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.errors import FieldError, NotFound, ParameterError
from webui.core.jobs import JobState
from webui.library import infotext, metadata
from webui.library.encode import write_image
from webui.web.services import Services

from . import errors
from .following import Following
from .requests import ExtraSingle, PngInfo, read
from .translate import UPSCALE
from .upscalers import INTERPOLATIONS, networks


def router(services: Services, following: Following) -> APIRouter:
    routes = APIRouter()
    limit = services.settings.max_upload_bytes

    @routes.post("/png-info")
    async def png_info(request: Request) -> Response:
        body = await read(request, PngInfo, limit)
        return JSONResponse(await run_in_threadpool(_said, services, body.image))

    @routes.post("/extra-single-image")
    async def extra_single_image(request: Request) -> Response:
        body = await read(request, ExtraSingle, limit)
        ref, image = await run_in_threadpool(_taken, services, body)
        name = body.upscaler_1
        found = await run_in_threadpool(networks, services)
        if name in found:
            params = {"image": ref, "upscaler": found[name], "scale": min(_factor(image, body), 8.0)}
            job = await run_in_threadpool(lambda: services.jobs.submit(UPSCALE, params))
            job = await following.to_end(job)
            if job.state is not JobState.DONE:
                return errors.of_job(job)
            image = await run_in_threadpool(lambda: services.uploads.open_image(f"artifact:{job.artifacts[0].id}"))
        elif name not in INTERPOLATIONS:
            known = ", ".join([*INTERPOLATIONS, *found])
            raise NotFound(f"there is no upscaler {name[:80]!r}.", hint=f"There are: {known}.")
        return JSONResponse(await run_in_threadpool(_answer, services, body, image))

    return routes


def _said(services: Services, value: str) -> dict[str, Any]:
    ref = services.uploads.intern(value, expect="image", field="image")
    said = metadata.read(services.uploads.path(ref), services.settings.max_image_pixels)
    info = infotext.parse(said.infotext)
    parameters: dict[str, Any] = {}
    if said.infotext:
        parameters = {"Prompt": info.prompt, "Negative prompt": info.negative_prompt, **info.pairs}
        width, cross, height = info.pairs.get("Size", "").partition("x")
        if cross:
            parameters |= {"Size-1": width, "Size-2": height}
    items = {name: text for name, text in said.chunks.items() if text != said.infotext}
    return {"info": said.infotext, "items": items, "parameters": parameters}


def _taken(services: Services, body: ExtraSingle) -> tuple[str, Image.Image]:
    """The picture that a request brought, as a reference and decoded."""
    if body.gfpgan_visibility or body.codeformer_visibility:
        raise ParameterError([FieldError("gfpgan_visibility", "there is no face restoration here")])
    ref = services.uploads.intern(body.image, expect="image", field="image")
    image = services.uploads.open_image(ref, field="image")
    width, height = _size(image, _factor(image, body))
    most = services.settings.max_image_pixels
    if width * height > most:
        message = f"would give {width} x {height} pixels, more than the {most:,} allowed"
        raise ParameterError([FieldError("upscaling_resize", message)])
    return ref, image


def _factor(image: Image.Image, body: ExtraSingle) -> float:
    """How many times as large: as said, or (mode 1) so that the picture covers a size, or lies within it."""
    if body.upscaler_1 == "None":
        return 1.0
    if body.resize_mode == 0:
        return body.upscaling_resize
    ratios = (body.upscaling_resize_w / image.width, body.upscaling_resize_h / image.height)
    return max(ratios) if body.upscaling_crop else min(ratios)


def _size(image: Image.Image, factor: float) -> tuple[int, int]:
    return max(1, round(image.width * factor)), max(1, round(image.height * factor))


def _answer(services: Services, body: ExtraSingle, image: Image.Image) -> dict[str, Any]:
    method = INTERPOLATIONS.get(body.upscaler_1)
    if method is not None:
        image = image.resize(_size(image, _factor(image, body)), method)
    if body.resize_mode == 1 and body.upscaling_crop and body.upscaler_1 != "None":
        width, height = body.upscaling_resize_w, body.upscaling_resize_h
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    target = io.BytesIO()
    write_image(target, image, "png")
    return {"html_info": "", "image": base64.b64encode(target.getvalue()).decode("ascii")}
