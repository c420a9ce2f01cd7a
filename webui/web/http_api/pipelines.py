"""GET /pipelines: what the application can do, with the JSON Schema of each pipeline's parameters."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from webui.core.errors import NotFound
from webui.core.guests import is_open
from webui.core.specs import PipelineSpec, same_name
from webui.web.principal import asking
from webui.web.services import Services


class PipelineView(BaseModel):
    id: str
    name: str = Field(description="The id's last part; names the pipeline where no other has it")
    extension: str
    title: str
    description: str
    tab: str
    outputs: str = Field(description="Kind of artifact: image, video, audio, table, plot, file, scalar")
    keeps_work: bool = Field(
        description="Whether a stopped job of it goes on from where it was: POST /jobs/{id}/resume"
    )
    examples: list[dict[str, Any]]
    params_schema: dict[str, Any] = Field(
        description="JSON Schema of `params`; each property's `widget` says how a person edits it"
    )


class PipelineList(BaseModel):
    pipelines: list[PipelineView]


def find_pipeline(services: Services, name: str) -> PipelineSpec:
    """The pipeline that ``name`` (an id, or its last part where no other has it) means. Raises NotFound."""
    met = same_name(tuple(services.host.pipelines.values()), name)
    if len(met) == 1:
        return met[0]
    if met:
        raise NotFound(f"{name!r} may mean {', '.join(spec.id for spec in met)}.", hint="Give the full id.")
    raise NotFound(f"there is no pipeline {name!r}.", hint="GET /api/v1/pipelines lists them.")


def _view(spec: PipelineSpec) -> PipelineView:
    return PipelineView(
        id=spec.id,
        name=spec.name,
        extension=spec.extension,
        title=spec.title,
        description=spec.description,
        tab=spec.tab,
        outputs=spec.outputs,
        keeps_work=spec.keeps_work,
        examples=[dict(example) for example in spec.examples],
        params_schema=spec.params.model_json_schema(),
    )


def router(services: Services) -> APIRouter:
    routes = APIRouter(tags=["pipelines"])

    @routes.get("/pipelines", summary="Every pipeline, with the schema of its parameters")
    def list_pipelines() -> PipelineList:
        """Of a shared studio, a guest sees those that guests may run."""
        guest = services.asks_login and asking().is_guest
        specs = services.host.pipelines.values()
        return PipelineList(pipelines=[_view(spec) for spec in specs if not guest or is_open(spec)])

    @routes.get("/pipelines/{pipeline_id}", summary="One pipeline")
    def get_pipeline(pipeline_id: str) -> PipelineView:
        return _view(find_pipeline(services, pipeline_id))

    return routes
