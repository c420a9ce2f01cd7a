"""The shape that errors have for A1111's clients: ``{error, detail, body, errors}``."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from webui.core.errors import LifelikeError, ParameterError
from webui.core.jobs import Job
from webui.web.http_api.errors import STATUS

log = logging.getLogger(__name__)

_OF_THE_REQUEST = frozenset({"ParameterError", "NotFound", "ModelError", "Conflict"})
"""Kinds of a failed job's error that another request would not meet."""


def error(status: int, kind: str, detail: str, text: str = "") -> JSONResponse:
    return JSONResponse({"error": kind, "detail": detail, "body": "", "errors": text or detail}, status)


def of_job(job: Job) -> JSONResponse:
    """The answer for a job that failed, or that the server's end interrupted."""
    if not job.state.ended:
        return error(503, "Stopping", f"the server stops; job {job.id} goes on at its next start")
    told = job.error
    if told is None:
        return error(500, "JobFailed", "the job failed")
    status = 422 if told.kind in _OF_THE_REQUEST else 503 if told.kind == "WorkerDied" else 500
    return error(status, told.kind, f"{told.message} {told.hint}".strip())


async def _on_lifelike_error(request: Request, caught: Exception) -> Response:
    assert isinstance(caught, LifelikeError)
    status = next((STATUS[one] for one in type(caught).__mro__ if one in STATUS), 500)
    if status >= 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=caught)
    fields = "; ".join(map(str, caught.fields)) if isinstance(caught, ParameterError) else ""
    return error(status, type(caught).__name__, str(caught), fields)


async def _on_http_error(request: Request, caught: Exception) -> Response:
    assert isinstance(caught, HTTPException)
    hint = getattr(caught, "hint", "")
    return error(caught.status_code, "HTTPException", f"{caught.detail} {hint}".strip())


async def _on_any_error(request: Request, caught: Exception) -> Response:
    return error(500, "Exception", "The server met an error of its own; its log says more.")


def install(app: FastAPI) -> None:
    """Give every error of ``app`` that shape."""
    app.add_exception_handler(LifelikeError, _on_lifelike_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_any_error)


def add_switched_off(app: FastAPI) -> None:
    """Answer every path with how to turn the interface on."""

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    async def off(path: str) -> Response:
        return error(404, "NotFound", "This interface is off: start with --api-sdapi, or set api_sdapi.")
