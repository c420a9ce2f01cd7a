"""POST /uploads: bytes for a parameter that takes a file, stored once; and what an uploaded picture says of itself."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import JSONResponse, Response

from webui.library import metadata
from webui.web.services import Services

from .body import SentFile, media_type, multipart, read_file, unsupported
from .errors import LifelikeHTTPError, bad_request


class Upload(BaseModel):
    ref: str = Field(description="What a file parameter takes: `upload:<sha256>.<ending>`")


class Said(BaseModel):
    """What a picture says of how it was made."""

    pipeline: str = Field(description="Empty for pictures of other programs")
    params: dict[str, Any] = Field(description="In this interface's names, as far as they are known")
    recipe: dict[str, Any] | None = Field(description="The whole recipe, where the picture has one of ours")
    infotext: str = Field(description="The `parameters` text as other programs write it")
    program: str = Field(description="Who wrote it, such as A1111 or ComfyUI; empty where that cannot be told")
    unmapped: dict[str, str] = Field(
        description="What was stated and has no parameter here, by the program's own names"
    )
    notes: list[str] = Field(description="What was met that could not be used")


FILE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}


async def read_one_file(request: Request, limit_bytes: int) -> SentFile:
    """The only file of a multipart body. Raises LifelikeHTTPError 400 and 415, TooLarge."""
    if media_type(request) != "multipart/form-data":
        raise unsupported(request, "multipart/form-data")
    async with multipart(request, limit_bytes) as form:
        files = [part for _, part in form.multi_items() if isinstance(part, UploadFile)]
        if len(files) != 1:
            raise bad_request(f"expected one file, met {len(files)}.")
        return await read_file(files[0], limit_bytes)


def _said(services: Services, sent: SentFile) -> dict[str, Any]:
    found = metadata.read(sent.data, services.settings.max_image_pixels)
    if not found.format:
        raise LifelikeHTTPError(
            415, "that file is no picture that can be read.", hint="Pictures are PNG, JPEG or WebP."
        )
    recipe = found.recipe or services.host.first("read_metadata", chunks=found.chunks)
    return {
        "pipeline": found.pipeline or (recipe.pipeline if recipe else ""),
        "params": found.params or (recipe.params if recipe else {}),
        "recipe": recipe.model_dump(mode="json") if recipe else None,
        "infotext": found.infotext,
        "program": found.program,
        "unmapped": found.unmapped,
        "notes": list(found.notes),
    }


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["uploads"])
    limit = services.settings.max_upload_bytes

    @routes.post(
        "/uploads",
        status_code=201,
        response_model=Upload,
        openapi_extra=FILE_BODY,
        summary="Store a file for a parameter",
    )
    async def upload(request: Request) -> Response:
        sent = await read_one_file(request, limit)
        return JSONResponse({"ref": await run_in_threadpool(services.uploads.put, sent.data, sent.name)}, 201)

    @routes.post("/metadata", response_model=Said, openapi_extra=FILE_BODY, summary="How an uploaded picture was made")
    async def read_metadata(request: Request) -> Response:
        """Reads our recipe, and what A1111, ComfyUI and others write. The picture is not stored."""
        sent = await read_one_file(request, limit)
        return JSONResponse(await run_in_threadpool(_said, services, sent))

    return routes
