"""The routes of model files: what is on this machine, and pickled ones made into safetensors by a job."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from webui.web.services import Services

from .pipelines import find_pipeline
from .views import JobView, job_view

CONVERT = "model_files.convert"
"""The pipeline that a conversion is a job of."""


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


class ConvertOrder(BaseModel):
    model: str = Field(min_length=1, max_length=1000, description="The `ref` of a file that PyTorch saved")
    half: bool = Field(default=False, description="Store floats in 16 bits")


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["models"])

    @routes.get("/models", summary="Models on this machine")
    def models(
        kind: Annotated[str, Query(description="Only this kind, such as text_to_image, lora, vae, or pickled")] = "",
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

    @routes.post(
        "/models/convert", status_code=202, response_model=JobView, summary="Make safetensors of a pickled file"
    )
    def convert(order: ConvertOrder) -> Response:
        """A job like any other: it is watched, cancelled and listed with the others. The file is written beside the
        original, which stays; nothing in that is run.
        """
        spec = find_pipeline(services, CONVERT)
        view = job_view(services.jobs.submit(spec.id, {"model": order.model, "half": order.half}))
        return JSONResponse(view, 202, headers={"Location": view["url"]})

    return routes
