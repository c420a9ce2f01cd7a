"""The routes that tell of the application itself: its health, its extensions, what a prompt costs in tokens."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from webui.api import API_VERSION
from webui.web.services import Services

from .jobs import queue_counts, workers


class Health(BaseModel):
    status: str = Field(
        description="`starting` until workers may take jobs, then `ok`; `failed` where they could not be started"
    )
    problem: str = Field(default="", description="Why it failed")
    api: str = Field(description="Version of the extension API")
    uptime_s: float
    queue: dict[str, int] = Field(description="Jobs in each state")
    workers: list[dict[str, Any]] = Field(description="Processes that run jobs, and their devices")
    extensions: dict[str, int] = Field(description="Extensions in each state: loaded, disabled, blocked, failed")


class Tokens(BaseModel):
    used: int
    limit: int = Field(description="Tokens the text encoder takes at once")
    chunks: int = Field(description="How many times that the text fills, at least 1")
    exact: bool = Field(description="False where the model's tokenizer is not known and words were counted")


@dataclasses.dataclass
class Progress:
    """How far the start is; written by the server, read by the health route."""

    status: str = "starting"
    problem: str = ""
    on_failure: Callable[[Exception], None] | None = None

    def fail(self, error: Exception) -> None:
        """Jobs cannot be run."""
        self.status, self.problem = "failed", str(error)
        if self.on_failure is not None:
            self.on_failure(error)


def router(services: Services, start: Progress) -> APIRouter:
    routes = APIRouter(tags=["system"])

    @routes.get("/health", summary="Whether it runs, and what it does")
    def health() -> Health:
        states = [record.state for record in services.host.extensions]
        return Health(
            status=start.status,
            problem=start.problem,
            api=API_VERSION,
            uptime_s=round(time.time() - services.started_at, 3),
            queue=queue_counts(services),
            workers=workers(services),
            extensions={state: states.count(state) for state in ("loaded", "disabled", "blocked", "failed")},
        )

    @routes.get("/tokens", response_model=Tokens, summary="How many tokens of a model's prompt a text takes")
    def tokens(
        text: Annotated[str, Query(max_length=20_000)],
        model: Annotated[str, Query(description="A model's `ref`; empty for the default one")] = "",
    ) -> Response:
        # Imports the tokenizers package, which nothing else of the start needs.
        from webui.catalog.tokens import count

        entry = services.catalog.resolve(model) if model else services.catalog.default("text_to_image")
        return JSONResponse(dataclasses.asdict(count(entry, text)))

    return routes
