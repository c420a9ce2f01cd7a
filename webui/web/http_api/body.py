"""Reads request bodies into plain values: JSON, or multipart with files. Sizes are limited while the bytes arrive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from webui.core.errors import FieldError, ParameterError

from .errors import LifelikeHTTPError, TooLarge, bad_request

MAX_FILES = 64
JSON_SPARE_BYTES = 2**20
"""What a JSON body may hold beside one picture as a data URL."""


@dataclass(frozen=True)
class SentFile:
    """A file of a multipart request, whole."""

    name: str
    data: bytes
    media_type: str = ""


@dataclass(frozen=True)
class Submission:
    """A request for a job, not validated yet. ``files`` are to become parameters of their names."""

    pipeline: str
    params: dict[str, Any]
    files: Mapping[str, list[SentFile]] = field(default_factory=dict)


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_limit(max_upload_bytes: int) -> int:
    """Base64 makes three bytes four."""
    return max_upload_bytes * 4 // 3 + JSON_SPARE_BYTES


async def read_bytes(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it is known to be."""
    met = bytearray()
    async for chunk in request.stream():
        met += chunk
        if len(met) > limit_bytes:
            raise TooLarge(limit_bytes)
    return bytes(met)


def parse_object(data: bytes | str, what: str) -> dict[str, Any]:
    """A JSON object. Raises LifelikeHTTPError 400 on anything else (NaN, lone surrogates and endless nesting
    included).
    """
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise bad_request(f"{what} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise bad_request(f"{what} is a JSON {type(value).__name__}, expected an object.")
    return value


async def read_json(request: Request, limit_bytes: int) -> dict[str, Any]:
    """The body as a JSON object. Raises LifelikeHTTPError 400 and 415, TooLarge."""
    if media_type(request) != "application/json":
        raise unsupported(request, "application/json")
    return parse_object(await read_bytes(request, limit_bytes), "the body")


M = TypeVar("M", bound=BaseModel)


def parse_model(model: type[M], raw: Mapping[str, Any]) -> M:
    """``raw`` as ``model``. Raises ParameterError that names every wrong field."""
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        fields = [
            FieldError(".".join(map(str, item["loc"])), str(item["msg"]), repr(item.get("input"))[:80])
            for item in error.errors()
        ]
        raise ParameterError(fields) from None


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of a route that reads ``model`` by itself."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


@asynccontextmanager
async def multipart(request: Request, max_upload_bytes: int) -> AsyncIterator[FormData]:
    """The parts of a multipart body; larger files lie in temporary files that go with the block."""
    form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=json_limit(max_upload_bytes))
    try:
        yield form
    finally:
        await form.close()


async def read_file(part: UploadFile, limit_bytes: int) -> SentFile:
    """Raises TooLarge."""
    if part.size is not None and part.size > limit_bytes:
        raise TooLarge(limit_bytes)
    return SentFile(part.filename or "", await part.read(), (part.content_type or "").partition(";")[0].strip().lower())


async def read_submission(request: Request, max_upload_bytes: int) -> Submission:
    """``{"pipeline": ..., "params": {...}}`` as JSON, or as the part ``job`` of a multipart body whose other parts
    are files.

    Raises LifelikeHTTPError 400 and 415, TooLarge.
    """
    match media_type(request):
        case "application/json":
            limit = json_limit(max_upload_bytes)
            return _submission(parse_object(await read_bytes(request, limit), "the body"), {})
        case "multipart/form-data":
            async with multipart(request, max_upload_bytes) as form:
                return await _submission_of_parts(form, max_upload_bytes)
    raise unsupported(request, "application/json or multipart/form-data")


async def _submission_of_parts(form: FormData, max_upload_bytes: int) -> Submission:
    job: dict[str, Any] | None = None
    files: dict[str, list[SentFile]] = {}
    for name, part in form.multi_items():
        if name == "job":
            # curl's `-F job=@job.json` sends the part as a file, `-F job='{...}'` as a field.
            text = part if isinstance(part, str) else (await read_file(part, json_limit(max_upload_bytes))).data
            job = parse_object(text, "the part 'job'")
        elif isinstance(part, str):
            raise bad_request(
                f"the part {name!r} is no file.", hint="Put parameters that are not files into the part 'job'."
            )
        else:
            files.setdefault(name, []).append(await read_file(part, max_upload_bytes))
    if job is None:
        raise bad_request("the part 'job' is missing.", hint='It holds {"pipeline": ..., "params": {...}} as JSON.')
    return _submission(job, files)


def _submission(said: dict[str, Any], files: Mapping[str, list[SentFile]]) -> Submission:
    pipeline, params = said.get("pipeline"), said.get("params", {})
    if not isinstance(pipeline, str) or not isinstance(params, dict):
        raise bad_request('expected {"pipeline": text, "params": object}.')
    unknown = sorted(set(said) - {"pipeline", "params"})
    if unknown:
        raise bad_request(f"there is no such field here: {', '.join(unknown)}.", hint='Parameters go into "params".')
    return Submission(pipeline, params, files)


def unsupported(request: Request, expected: str) -> LifelikeHTTPError:
    return LifelikeHTTPError(415, f"expected a body of {expected}, met {media_type(request) or 'no Content-Type'}.")
