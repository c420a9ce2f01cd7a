"""``png-info`` reads what a picture says of itself; ``extra-single-image`` enlarges one by interpolation."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.errors import FieldError, NotFound, ParameterError
from webui.library import infotext, metadata
from webui.library.encode import write_image
from webui.web.services import Services

from .requests import ExtraSingle, PngInfo, read

UPSCALERS: Mapping[str, Image.Resampling | None] = {
    "None": None,
    "Lanczos": Image.Resampling.LANCZOS,
    "Nearest": Image.Resampling.NEAREST,
}
"""Clients expect the first to be ``None``."""


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    limit = services.settings.max_upload_bytes

    @routes.post("/png-info")
    async def png_info(request: Request) -> Response:
        body = await read(request, PngInfo, limit)
        return JSONResponse(await run_in_threadpool(_said, services, body.image))

    @routes.post("/extra-single-image")
    async def extra_single_image(request: Request) -> Response:
        body = await read(request, ExtraSingle, limit)
        return JSONResponse(await run_in_threadpool(_enlarged, services, body))

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


def _enlarged(services: Services, body: ExtraSingle) -> dict[str, Any]:
    if body.upscaler_1 not in UPSCALERS:
        raise NotFound(f"there is no upscaler {body.upscaler_1[:80]!r}.", hint=f"There are: {', '.join(UPSCALERS)}.")
    if body.gfpgan_visibility or body.codeformer_visibility:
        raise ParameterError([FieldError("gfpgan_visibility", "there is no face restoration here")])
    ref = services.uploads.intern(body.image, expect="image", field="image")
    image = services.uploads.open_image(ref, field="image")
    method = UPSCALERS[body.upscaler_1]
    if method is not None:
        image = _resized(image, body, method, services.settings.max_image_pixels)
    target = io.BytesIO()
    write_image(target, image, "png")
    return {"html_info": "", "image": base64.b64encode(target.getvalue()).decode("ascii")}


def _resized(image: Image.Image, body: ExtraSingle, method: Image.Resampling, max_pixels: int) -> Image.Image:
    """By a factor, or (mode 1) to a size, which the picture covers and is cut to where it crops, else lies within."""
    width, height = image.size
    factor = body.upscaling_resize
    if body.resize_mode == 1:
        ratios = (body.upscaling_resize_w / width, body.upscaling_resize_h / height)
        factor = max(ratios) if body.upscaling_crop else min(ratios)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size[0] * size[1] > max_pixels:
        message = f"would give {size[0]} x {size[1]} pixels, more than the {max_pixels:,} allowed"
        raise ParameterError([FieldError("upscaling_resize", message)])
    large = image.resize(size, method)
    if body.resize_mode == 1 and body.upscaling_crop:
        left = (large.width - body.upscaling_resize_w) // 2
        top = (large.height - body.upscaling_resize_h) // 2
        large = large.crop((left, top, left + body.upscaling_resize_w, top + body.upscaling_resize_h))
    return large
