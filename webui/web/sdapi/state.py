"""``progress``, ``interrupt``, ``skip``, ``options``, ``memory``: what runs, and what later requests begin with."""

from __future__ import annotations

from typing import Any

import psutil
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.jobs import UnloadCommand
from webui.web.http_api.body import json_limit, parse_object, read_bytes
from webui.web.services import Services

from .options import Options
from .running import Running


def router(services: Services, options: Options, running: Running) -> APIRouter:
    routes = APIRouter()

    @routes.get("/progress")
    async def progress(skip_current_image: bool = False) -> Response:
        return JSONResponse(running.view(with_image=not skip_current_image))

    @routes.post("/interrupt")
    async def interrupt() -> Response:
        return await end(running.interrupt())

    @routes.post("/skip")
    async def skip() -> Response:
        """The pictures at work are given up; those after them are made."""
        return await end(running.skip())

    async def end(job_id: str | None) -> Response:
        if job_id is not None:
            await run_in_threadpool(services.jobs.cancel, job_id)
        return JSONResponse({})

    @routes.get("/options")
    def get_options() -> Response:
        return JSONResponse(options.view())

    @routes.post("/options")
    async def set_options(request: Request) -> Response:
        data = await read_bytes(request, json_limit(0))
        await run_in_threadpool(options.change, parse_object(data or b"{}", "the body"))
        return JSONResponse(None)

    @routes.get("/memory")
    def memory() -> Response:
        return JSONResponse(_memory(services))

    @routes.post("/unload-checkpoint")
    def unload() -> Response:
        services.jobs.tell_workers(UnloadCommand())
        return JSONResponse({})

    @routes.post("/reload-checkpoint")
    def reload() -> Response:
        """Models are loaded when a job needs them."""
        return JSONResponse({})

    return routes


def _memory(services: Services) -> dict[str, Any]:
    own = psutil.virtual_memory()
    ram = {"free": own.available, "used": own.total - own.available, "total": own.total}
    cuda: dict[str, Any] = {"error": "unavailable"}
    for worker in services.jobs.workers():
        device = worker.get("device")
        total = getattr(device, "memory_total_bytes", None)
        if getattr(device, "kind", "") == "cuda" and total:
            used = getattr(device, "memory_used_bytes", None) or 0
            cuda = {"system": {"free": total - used, "used": used, "total": total}, "events": {"retries": 0, "oom": 0}}
            break
    return {"ram": ram, "cuda": cuda}
