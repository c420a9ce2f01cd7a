"""The HTTP interface: JSON routes under /api/v1 that call the other rooms' services."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from webui.web.paths import path_of
from webui.web.services import Services
from webui.web.sharing import Sharing

from . import (
    artifacts,
    curation,
    errors,
    extensions,
    imports,
    jobs,
    memory,
    models,
    openapi,
    people,
    pipelines,
    prompts,
    share,
    system,
    uploads,
)
from .errors import problem
from .streams import OpenStreams
from .system import Progress
from .views import PREFIX


def install(app: FastAPI, services: Services, streams: OpenStreams, start: Progress, sharing: Sharing) -> None:
    """Add every route of the interface, their error handlers and the OpenAPI document to ``app``."""
    errors.install(app)
    parts = (
        pipelines.router(services),
        jobs.router(services, streams),
        artifacts.router(services),
        curation.router(services),
        uploads.router(services),
        imports.router(services),
        system.router(services, start),
        extensions.router(services),
        models.router(services),
        memory.router(services),
        prompts.router(services),
        people.router(services),
        share.router(services, sharing),
    )
    for part in parts:
        app.include_router(part, prefix=PREFIX)
    app.mount("/api", _Unknown([route for part in parts for route in part.routes if isinstance(route, APIRoute)]))
    openapi.install(app, services)


class _Unknown:
    """Answers for what is not there, so that the page, which is mounted at "/", does not do so with one of its own."""

    def __init__(self, routes: Iterable[APIRoute]) -> None:
        self._known = [(compile_path(PREFIX + route.path)[0], route.methods or ()) for route in routes]

    @staticmethod
    def _whole(scope: Scope) -> str:
        """The path below the application's own root: a mount counts itself among the roots."""
        root = str(scope.get("app_root_path", ""))
        return path_of({**scope, "root_path": root})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = self._whole(scope), scope.get("method", "")
        allowed = sorted({one for pattern, methods in self._known if pattern.match(path) for one in methods})
        if allowed:
            answer = problem(405, f"{method} is not possible here.", headers={"Allow": ", ".join(allowed)})
        else:
            hint = "GET /openapi.json lists what there is."
            answer = problem(404, f"There is nothing at {path}.", kind="not-found", hint=hint)
        await answer(scope, receive, send)
