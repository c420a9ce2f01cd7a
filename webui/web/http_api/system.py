"""The routes that tell of the application itself: its health, its extensions, the models it found, what a prompt
costs in tokens.
"""

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


class ExtensionView(BaseModel):
    id: str
    title: str
    version: str
    state: str = Field(description="loaded, disabled, blocked (refused) or failed (it raised)")
    stage: str = Field(description="Where it stopped; empty for a loaded one")
    reason: str
    hint: str
    traceback: str
    builtin: bool
    pipelines: list[str]


class ExtensionList(BaseModel):
    extensions: list[ExtensionView]


class ModelView(BaseModel):
    ref: str = Field(description="What a `model` parameter takes")
    title: str
    kind: str
    format: str = Field(description="diffusers, single_file or hub")
    family: str = Field(description="Such as sd1, sdxl; empty where unknown")
    size_bytes: int
    sha256: str = Field(description="Of the weights; empty until they were read once")
    short_hash: str = Field(description="What A1111 shows (AutoV2); empty until it was hashed")
    auto_v3: str = Field(description="What others call a LoRA by; of safetensors files")
    old_hash: str = Field(description="What A1111 showed once (AutoV1)")
    lacks: tuple[str, ...] = Field(description="What a single file needs from elsewhere in the models folders")
    recommended: dict[str, Any] = Field(description="Parameter values that suit it")
    problem: str = Field(description="Why it cannot be used; empty where it can")


class ModelList(BaseModel):
    models: list[ModelView]


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

    @routes.get("/extensions", summary="Every extension that was found, and what became of it")
    def extensions() -> ExtensionList:
        return ExtensionList(
            extensions=[
                ExtensionView.model_validate({name: getattr(record, name) for name in ExtensionView.model_fields})
                for record in services.host.extensions
            ]
        )

    @routes.get("/models", summary="Models on this machine")
    def models(
        kind: Annotated[str, Query(description="Only this kind, such as text_to_image, lora, vae")] = "",
        refresh: Annotated[bool, Query(description="Look at the folders again first")] = False,
    ) -> ModelList:
        if refresh:
            services.catalog.refresh()
        return ModelList(
            models=[
                ModelView.model_validate({name: getattr(entry, name) for name in ModelView.model_fields})
                for entry in services.catalog.entries(kind)
            ]
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
