"""Errors on their way out of the HTTP interface: every one becomes application/problem+json (RFC 9457)."""

from __future__ import annotations

import http
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from webui.core.errors import (
    Cancelled,
    Conflict,
    ExtensionError,
    FieldError,
    Forbidden,
    JobFailed,
    LifelikeError,
    ModelError,
    NotFound,
    ParameterError,
    SetupError,
    WorkerDied,
)

log = logging.getLogger(__name__)

STATUS: Mapping[type[LifelikeError], int] = {
    ParameterError: 422,
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    ModelError: 422,
    ExtensionError: 500,
    JobFailed: 500,
    WorkerDied: 503,
    Cancelled: 409,
    SetupError: 500,
}
"""The status of each error class; a class that is not here has its nearest parent's, in the end 500."""


class ProblemField(BaseModel):
    """One wrong parameter of a request."""

    name: str
    message: str
    got: str = Field(default="", description="What was met, shortened")


class Problem(BaseModel):
    """RFC 9457: what every error of this interface looks like."""

    type: str = Field(default="about:blank", description="urn:lifelike:<kind of error>")
    title: str
    status: int
    detail: str = ""
    hint: str = Field(default="", description="What to do about it")
    errors: list[ProblemField] = Field(default=[], description="The wrong parameters, each by its name")


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


class TooLarge(HTTPException):
    """A request's body is larger than allowed."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(413, f"The request is larger than the {limit_bytes:,} bytes allowed.")


def problem(
    status: int,
    detail: str,
    *,
    kind: str = "",
    hint: str = "",
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> ProblemResponse:
    """A problem document. ``kind`` is a word that programs can rely on, such as ``parameter-error``."""
    body: dict[str, Any] = {
        "type": f"urn:lifelike:{kind}" if kind else "about:blank",
        "title": http.HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if hint:
        body["hint"] = hint
    if errors:
        body["errors"] = [{"name": one.name, "message": one.message, "got": one.got} for one in errors]
    return ProblemResponse(body, status, headers=headers)


def bad_request(detail: str, *, hint: str = "") -> LifelikeHTTPError:
    return LifelikeHTTPError(400, detail, hint=hint)


class LifelikeHTTPError(HTTPException):
    """An HTTP error with a hint, for faults that only exist at this edge (a body that is not JSON, a media type)."""

    def __init__(self, status: int, detail: str, *, hint: str = "") -> None:
        super().__init__(status, detail)
        self.hint = hint


def _kind(error: type[LifelikeError]) -> str:
    """ParameterError -> parameter-error."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in error.__name__).lstrip("-")


async def _on_lifelike_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LifelikeError)
    status = next((STATUS[one] for one in type(error).__mro__ if one in STATUS), 500)
    if status >= 500:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    fields = error.fields if isinstance(error, ParameterError) else ()
    return problem(status, error.message, kind=_kind(type(error)), hint=error.hint, errors=fields)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), hint=getattr(error, "hint", ""), headers=error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """A query or path value that FastAPI refused."""
    assert isinstance(error, RequestValidationError)
    fields = [
        FieldError(".".join(str(part) for part in item["loc"][1:]), str(item["msg"]), repr(item.get("input"))[:80])
        for item in error.errors()
    ]
    detail = "; ".join(str(one) for one in fields)
    return problem(422, detail, kind="parameter-error", errors=fields)


async def _on_any_error(request: Request, error: Exception) -> Response:
    """The server's own fault: Starlette logs the traceback, the client learns no inner details."""
    return problem(500, "The server met an error of its own.", hint="Its log says more.")


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error of its own routes with a problem document."""
    app.add_exception_handler(LifelikeError, _on_lifelike_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_any_error)
