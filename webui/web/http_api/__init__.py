"""The HTTP interface: JSON routes under /api/v1 that call the other rooms' services."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.routing import Match

from webui.web.services import Services

from . import artifacts, errors, jobs, openapi, pipelines, system, uploads
from .errors import problem
from .streams import OpenStreams
from .system import Progress
from .views import PREFIX


def install(app: FastAPI, services: Services, streams: OpenStreams, start: Progress) -> None:
    """Add every route of the interface, their error handlers and the OpenAPI document to ``app``."""
    errors.install(app)
    api = APIRouter(prefix=PREFIX)
    api.include_router(pipelines.router(services))
    api.include_router(jobs.router(services, streams))
    api.include_router(artifacts.router(services))
    api.include_router(uploads.router(services))
    api.include_router(system.router(services, start))
    app.include_router(api)
    _add_unknown(app)
    openapi.install(app, services)


def _add_unknown(app: FastAPI) -> None:
    """Answer for what is not there, before the page, which is mounted at "/", answers with one of its own."""
    known = tuple(app.router.routes)

    async def unknown(request: Request) -> Response:
        scope = {**request.scope, "path": request.url.path}
        allowed = sorted(
            method
            for route in known
            if route.matches(scope)[0] is Match.PARTIAL
            for method in getattr(route, "methods", None) or ()
        )
        if allowed:
            return problem(405, f"{request.method} is not possible here.", headers={"Allow": ", ".join(allowed)})
        return problem(
            404,
            f"There is nothing at {request.url.path}.",
            kind="not-found",
            hint="GET /openapi.json lists what there is.",
        )

    app.router.add_route("/api/{rest:path}", unknown, methods=None, include_in_schema=False)
