"""The routes of what was made: search, fetch, thumbnails, how it was made, favourites, trash."""

from __future__ import annotations

import json
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from webui.core.errors import FieldError, ParameterError
from webui.core.jobs import ArtifactRecord
from webui.library import metadata
from webui.library.library import Library
from webui.library.marks import MAX_NAMES, MAX_RATING, MarkChange
from webui.library.rows import Item
from webui.web.services import Services

from .body import json_body, parse_model, read_json
from .thumbnails import MEDIA_TYPE, SIDES_PX, Thumbnails
from .views import ArtifactView, artifact_view

SHOWN_INLINE = frozenset(
    {"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "video/mp4", "video/webm",
     "audio/mpeg", "audio/wav", "audio/x-wav", "audio/ogg", "audio/flac", "application/json", "text/plain", "text/csv"}
)  # fmt: skip
"""Everything else is offered as a download: SVG and HTML run scripts, and a pipeline may have made them from
anything.
"""
_YEAR_S = 365 * 24 * 3600
Id = Annotated[str, Path(description="`<job id>-<index>`", max_length=64)]


class ItemView(ArtifactView):
    """An artifact as the library knows it."""

    prompt: str
    favourite: bool
    rating: int = Field(description="1 to 5; 0: none")
    tags: list[str]
    collections: list[str]
    trashed: bool
    metadata_url: str
    thumbnail_url: str | None = Field(description="Of pictures")


class ItemPage(BaseModel):
    artifacts: list[ItemView]
    next: str | None = Field(description="Pass as `cursor` for the next page; null on the last")


class Metadata(ItemView):
    """How an artifact was made."""

    recipe: dict[str, Any] | None
    params: dict[str, Any] = Field(description="The recipe's, or what another program's metadata say in our names")
    program: str = Field(description="Who wrote the metadata, such as Lifelike or ComfyUI")
    unmapped: dict[str, str] = Field(description="What another program stated and has no parameter here")
    infotext: str = Field(description="What other programs read, A1111's `parameters`")


class Change(BaseModel):
    """What may be changed of an artifact. Lists replace what was there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    favourite: bool | None = None
    rating: int | None = Field(default=None, ge=0, le=MAX_RATING)
    tags: list[str] | None = Field(default=None, max_length=MAX_NAMES)
    collections: list[str] | None = Field(default=None, max_length=MAX_NAMES)


_CHANGE_BODY = json_body(Change)


def item_view(item: Item) -> dict[str, Any]:
    view = artifact_view(item.record)
    return {
        **view,
        "prompt": item.prompt,
        "favourite": item.favourite,
        "rating": item.marks.rating,
        "tags": list(item.marks.tags),
        "collections": list(item.marks.collections),
        "trashed": item.trashed,
        "metadata_url": f"{view['url']}/metadata",
        "thumbnail_url": f"{view['url']}?thumbnail=256" if item.record.kind == "image" else None,
    }


def _file_answer(record: ArtifactRecord, path: Any, media_type: str, if_none_match: str, variant: str = "") -> Response:
    """The file, or 304 where the client has it. An id's bytes never change (same seed, same bytes), so it is kept for
    good.
    """
    tag = f'"{record.sha256}{variant}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"private, max-age={_YEAR_S}, immutable",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'; img-src 'self'; media-src 'self'",
    }
    if tag in (part.strip().removeprefix("W/") for part in if_none_match.split(",")):
        return Response(status_code=304, headers=headers)
    disposition = "inline" if media_type in SHOWN_INLINE else "attachment"
    name = record.path.rpartition("/")[2]
    headers["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(name, safe='')}"
    if variant:  # small: read here, in one go, rather than in four turns of a thread
        return Response(path.read_bytes(), media_type=media_type, headers=headers)
    return FileResponse(path, media_type=media_type, headers=headers)


def _filters(text: str) -> dict[str, Any]:
    """The ``filters`` query value: a JSON object of plain values. Raises ParameterError."""
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(one, str | int | float | bool) for one in value.values()):
        raise ParameterError([FieldError("filters", 'expected a JSON object such as {"seed": 5}', text[:80])])
    return value


def _change(library: Library, artifact_id: str, wanted: Change) -> Item:
    item = library.get(artifact_id)
    if wanted.rating is not None or wanted.tags is not None or wanted.collections is not None:
        marks = MarkChange(
            rating=wanted.rating,
            remove_tags=item.marks.tags if wanted.tags is not None else (),
            add_tags=tuple(wanted.tags or ()),
            remove_collections=item.marks.collections if wanted.collections is not None else (),
            add_collections=tuple(wanted.collections or ()),
        )
        (item,) = library.mark([artifact_id], marks)
    return library.set_favourite(artifact_id, wanted.favourite) if wanted.favourite is not None else item


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["artifacts"])
    library = services.library
    thumbnails = Thumbnails(services.settings.data_dir / "cache" / "thumbnails")

    @routes.get("/artifacts", response_model=ItemPage, summary="Search what was made, the newest first")
    def search(
        query: Annotated[
            str, Query(max_length=10_000, description="As in the gallery: `red hair -hat seed:5 steps:>=20`")
        ] = "",
        filters: Annotated[str, Query(description='Exact values as a JSON object, such as {"seed": 5}')] = "",
        favourites: Annotated[bool, Query(description="Only favourites")] = False,
        trashed: Annotated[bool, Query(description="The trash in place of the library")] = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str, Query(description="`next` of the page before")] = "",
    ) -> Response:
        page = library.page(
            query, _filters(filters), favourites=favourites, trashed=trashed, limit=limit, cursor=cursor
        )
        return JSONResponse({"artifacts": [item_view(item) for item in page.items], "next": page.next or None})

    @routes.get("/artifacts/{artifact_id}", response_class=FileResponse, summary="The file itself")
    def get_file(
        artifact_id: Id,
        thumbnail: Annotated[int | None, Query(description=f"Longer side in pixels: one of {SIDES_PX}; WebP")] = None,
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        item = library.get(artifact_id)
        record, path = item.record, library.file(item)
        if thumbnail is None:
            return _file_answer(record, path, record.media_type, if_none_match)
        if thumbnail not in SIDES_PX:
            expected = "expected one of " + ", ".join(str(side) for side in SIDES_PX)
            raise ParameterError([FieldError("thumbnail", expected, str(thumbnail))])
        small = thumbnails.path(record, path, thumbnail)
        return _file_answer(record, small, MEDIA_TYPE, if_none_match, f"-{thumbnail}")

    @routes.get("/artifacts/{artifact_id}/metadata", response_model=Metadata, summary="How it was made")
    def get_metadata(artifact_id: Id) -> Response:
        item = library.get(artifact_id)
        recipe = library.index.recipe(item.id)
        said = metadata.Metadata()
        if item.record.kind == "image":
            said = metadata.read(library.file(item))
        view = {
            **item_view(item),
            "recipe": recipe.model_dump(mode="json") if recipe else None,
            "params": recipe.params if recipe else said.params,
            "program": "Lifelike" if recipe else said.program,
            "unmapped": said.unmapped,
            "infotext": said.infotext,
        }
        return JSONResponse(view)

    @routes.patch(
        "/artifacts/{artifact_id}",
        response_model=ItemView,
        openapi_extra=_CHANGE_BODY,
        summary="Make it a favourite or not, rate it, tag it, put it into collections",
    )
    async def change(artifact_id: Id, request: Request) -> Response:
        wanted = parse_model(Change, await read_json(request, 100_000))
        return JSONResponse(item_view(await run_in_threadpool(_change, library, artifact_id, wanted)))

    @routes.delete("/artifacts/{artifact_id}", response_model=ItemView, summary="Move it to the trash")
    def delete(artifact_id: Id) -> Response:
        return JSONResponse(item_view(library.trash(artifact_id)))

    @routes.post("/artifacts/{artifact_id}/restore", response_model=ItemView, summary="Take it out of the trash")
    def restore(artifact_id: Id) -> Response:
        return JSONResponse(item_view(library.restore(artifact_id)))

    return routes
