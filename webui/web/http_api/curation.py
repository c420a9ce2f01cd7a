"""The routes of many artifacts at once: rate, tag, collect and delete a selection; tags and collections; a selection as
one zip.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from webui.core.errors import FieldError, ParameterError
from webui.library import zipped
from webui.library.library import Library, Named
from webui.library.marks import MAX_NAMES, MAX_RATING, MarkChange
from webui.library.rows import Item
from webui.web.services import Services

from .artifacts import ItemView, item_view
from .body import json_body, parse_model, read_json

MAX_SELECTED = 1000


class Selection(BaseModel):
    """What to do with a selection; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: list[str] = Field(min_length=1, max_length=MAX_SELECTED)
    favourite: bool | None = None
    rating: int | None = Field(default=None, ge=0, le=MAX_RATING)
    add_tags: list[str] = Field(default=[], max_length=MAX_NAMES)
    remove_tags: list[str] = Field(default=[], max_length=MAX_NAMES)
    add_collections: list[str] = Field(default=[], max_length=MAX_NAMES)
    remove_collections: list[str] = Field(default=[], max_length=MAX_NAMES)
    trashed: bool | None = Field(default=None, description="true: into the trash; false: out of it")


class Items(BaseModel):
    artifacts: list[ItemView]


class NamedView(BaseModel):
    name: str
    count: int
    newest: str = Field(description="Id of the newest artifact that has it")


class Names(BaseModel):
    names: list[NamedView]


class Renaming(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str


def change_all(library: Library, wanted: Selection) -> list[Item]:
    """Raises NotFound, ParameterError, Conflict."""
    change = MarkChange(
        rating=wanted.rating,
        add_tags=tuple(wanted.add_tags),
        remove_tags=tuple(wanted.remove_tags),
        add_collections=tuple(wanted.add_collections),
        remove_collections=tuple(wanted.remove_collections),
    )
    items = library.mark(wanted.ids, change)
    if wanted.favourite is not None:
        items = [library.set_favourite(item.id, wanted.favourite) for item in items]
    if wanted.trashed is not None:
        items = [library.trash(item.id) if wanted.trashed else library.restore(item.id) for item in items]
    return items


def _names(rows: list[Named]) -> JSONResponse:
    return JSONResponse({"names": [{"name": one.name, "count": one.count, "newest": one.newest} for one in rows]})


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["artifacts"])
    library = services.library

    @routes.post("/selection", response_model=Items, openapi_extra=json_body(Selection), summary="Change many at once")
    async def change(request: Request) -> Response:
        wanted = parse_model(Selection, await read_json(request, 500_000))
        items = await run_in_threadpool(change_all, library, wanted)
        return JSONResponse({"artifacts": [item_view(item) for item in items]})

    @routes.get("/tags", response_model=Names, summary="Every tag")
    def tags() -> Response:
        return _names(library.tags())

    @routes.get("/collections", response_model=Names, summary="Every collection")
    def collections() -> Response:
        return _names(library.collections())

    @routes.patch(
        "/collections/{name:path}", openapi_extra=json_body(Renaming), summary="Give a collection another name"
    )
    async def rename(name: str, request: Request) -> dict[str, int]:
        wanted = parse_model(Renaming, await read_json(request, 10_000))
        if not wanted.name:
            raise ParameterError([FieldError("name", "expected a name", "''")])
        return {"changed": await run_in_threadpool(library.rename_collection, name, wanted.name)}

    @routes.delete("/collections/{name:path}", summary="Let a collection go; its pictures stay")
    def forget(name: str) -> dict[str, int]:
        return {"changed": library.rename_collection(name)}

    @routes.get("/export", response_class=StreamingResponse, summary="Artifacts as one zip, written while it is sent")
    def export(
        ids: Annotated[str, Query(max_length=64 * MAX_SELECTED, description="Ids with commas between them")] = "",
        query: Annotated[str, Query(max_length=10_000, description="In place of ids: all that fit a search")] = "",
        favourites: Annotated[bool, Query(description="Of a search: only favourites")] = False,
    ) -> Response:
        if ids:
            chosen: Any = [library.get(one) for one in ids.split(",")[:MAX_SELECTED]]
        else:
            chosen = library.each(query, favourites=favourites)
        name = quote("lifelike.zip")
        headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Cache-Control": "no-store"}
        return StreamingResponse(zipped.stream(library, chosen), media_type="application/zip", headers=headers)

    return routes
