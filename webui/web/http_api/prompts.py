"""The route that reads a prompt while it is typed: its length in tokens, and what is to be said of which place."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.catalog.catalog import read_table
from webui.core.errors import FieldError, LifelikeError, NotFound, ParameterError
from webui.core.specs import PromptQuestion, PromptReading, PromptSyntax
from webui.web.services import Services

from .body import read_json

log = logging.getLogger(__name__)

_TEXT_CHARS_MAX = 20_000
_BODY_BYTES_MAX = 2**18


class PromptAsked(BaseModel):
    """A prompt to read."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(max_length=_TEXT_CHARS_MAX)
    syntax: str = Field(default="", description="A parameter's `syntax`; empty: plain text")
    negative: bool = Field(default=False, description="Whether it is a negative prompt")
    model: str = Field(default="", description="A model's `ref`; empty for the default one")
    seed: int = Field(default=0, ge=-1, description="Of the picture, for what is drawn at random")


class RemarkView(BaseModel):
    """What is to be said of a place in a prompt."""

    start: int = Field(description="In characters (code points), from 0")
    end: int
    text: str = Field(description="A sentence")
    message: str = Field(description="The same, with {names} where `values` stand")
    values: dict[str, str]
    error: bool = Field(description="Whether something does not do what its form asks for")


class PromptView(BaseModel):
    """A prompt that was read."""

    used: int = Field(description="Tokens in all chunks")
    limit: int = Field(description="Tokens the text encoder takes at once")
    chunks: list[int] = Field(description="Tokens in each chunk that the text encoder is given")
    exact: bool = Field(description="False where words were counted, or something is drawn at random")
    remarks: list[RemarkView]


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["prompts"])
    schema = {"requestBody": {"content": {"application/json": {"schema": PromptAsked.model_json_schema()}}}}

    @routes.post("/prompt", response_model=PromptView, openapi_extra=schema, summary="Read a prompt as a model would")
    async def prompt(request: Request) -> Response:
        said = await read_json(request, _BODY_BYTES_MAX)
        try:
            asked = PromptAsked.model_validate(said)
        except ValidationError as error:
            fields = [FieldError(".".join(map(str, item["loc"])), str(item["msg"])) for item in error.errors()]
            raise ParameterError(fields) from None
        return JSONResponse(await run_in_threadpool(_read, services, asked))

    return routes


def _read(services: Services, asked: PromptAsked) -> dict[str, Any]:
    """Raises NotFound for a syntax that no extension declares."""
    # Imports the tokenizers package, which nothing else of the start needs.
    from webui.catalog.tokens import PromptTokens

    entry = None
    try:
        entry = services.catalog.resolve(asked.model) if asked.model else services.catalog.default("text_to_image")
    except LifelikeError:
        log.debug("the model %r of a prompt is not known", asked.model)
    tokens = PromptTokens(entry)
    question = PromptQuestion(
        text=asked.text,
        negative=asked.negative,
        family=str(getattr(entry, "family", "") or ""),
        seed=max(0, asked.seed),
        folders=services.settings.folders,
        tokenize=tokens.tokenize,
        limit=tokens.limit,
        token=tokens.token,
        models=lambda kind: [entry for entry in services.catalog.entries(kind) if entry.usable],
        shapes=_shapes,
    )
    syntax = services.host.prompt_syntaxes.get(asked.syntax)
    if syntax is None and asked.syntax:
        raise NotFound(f"There is no syntax {asked.syntax!r} of prompts.")
    reading = _by(syntax, question) if syntax is not None else _plain(question)
    return {
        "used": sum(reading.chunks),
        "limit": tokens.limit,
        "chunks": list(reading.chunks),
        "exact": reading.exact and tokens.exact,
        "remarks": [
            {
                "start": row.start,
                "end": row.end,
                "text": row.message.format_map(dict(row.values)),
                "message": row.message,
                "values": dict(row.values),
                "error": row.error,
            }
            for row in reading.remarks
        ],
    }


def _shapes(path: Path) -> Mapping[str, tuple[int, ...]]:
    try:
        return read_table(path).shapes
    except (LifelikeError, OSError):
        return {}


def _by(syntax: PromptSyntax, question: PromptQuestion) -> PromptReading:
    try:
        return syntax.read(question)
    except Exception:  # an extension's function: typing goes on, whatever it raises
        log.exception("the syntax %s cannot read a prompt", syntax.id)
        return _plain(question)


def _plain(question: PromptQuestion) -> PromptReading:
    used = len(question.tokenize(question.text))
    full, rest = divmod(used, question.limit)
    return PromptReading((*[question.limit] * full, *([rest] if rest or not full else [])))
