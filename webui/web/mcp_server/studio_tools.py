"""The gallery and the queue as an assistant's tools, beside those that are pipelines: what was made, and what is under
way. Their names have a hyphen, which no pipeline's id has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import CallToolResult, ContentBlock, TextContent, Tool, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from webui.core.errors import FieldError, ParameterError
from webui.core.jobs import Job, JobState
from webui.library import metadata
from webui.library.rows import Item
from webui.web.http_api.jobs import matching
from webui.web.http_api.pipelines import find_pipeline
from webui.web.services import Services

from .content import MAX_BASE64_CHARS, artifact_row, link_of, picture_of


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(_Arguments):
    query: str = Field("", max_length=10_000, description="Such as: red hair -hat seed:5 steps:>=20. Empty: everything")
    favourites: bool = Field(False, description="Only favourites")
    limit: int = Field(20, ge=1, le=100)
    cursor: str = Field("", max_length=500, description="next of the page before")


class OneArtifact(_Arguments):
    id: str = Field(max_length=100, description="Of an artifact, with or without artifact: before it")


class ListJobs(_Arguments):
    state: JobState | None = Field(None, description="Only jobs in this state")
    pipeline: str = Field("", max_length=200, description="Only jobs of this pipeline, such as diffusion.txt2img")
    limit: int = Field(20, ge=1, le=100)
    before: str | None = Field(None, max_length=100, description="next of the page before")


class OneJob(_Arguments):
    id: str = Field(max_length=100, description="Of a job")


@dataclass(frozen=True)
class StudioTool:
    """One tool: what it is called with, and what answers. ``changes``: whether anything is another afterwards."""

    title: str
    description: str
    arguments: type[_Arguments]
    run: Callable[[Services, Any, str], CallToolResult]
    changes: bool = False

    def declared(self, name: str) -> Tool:
        return Tool(
            name=name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            annotations=ToolAnnotations(title=self.title, read_only_hint=not self.changes, destructive_hint=False),
        )

    def call(self, services: Services, raw: Mapping[str, Any], base_url: str) -> CallToolResult:
        """Raises ParameterError, NotFound."""
        try:
            asked = self.arguments.model_validate(dict(raw))
        except ValidationError as error:
            raise ParameterError(
                [
                    FieldError(".".join(map(str, row["loc"])), row["msg"], str(row["input"])[:80])
                    for row in error.errors()
                ]
            ) from None
        return self.run(services, asked, base_url)


def _search(services: Services, asked: Search, base_url: str) -> CallToolResult:
    page = services.library.page(asked.query, favourites=asked.favourites, limit=asked.limit, cursor=asked.cursor)
    rows = [_item_row(item, base_url) for item in page.items]
    lines = [f"artifact:{row['id']} {row['kind']}: {' '.join(row['prompt'].split())[:120]}" for row in rows]
    return _answer({"artifacts": rows, "next": page.next or None}, lines or ["Nothing was found."])


def _get(services: Services, asked: OneArtifact, base_url: str) -> CallToolResult:
    item = services.library.get(asked.id.removeprefix("artifact:"))
    recipe = services.library.recipe(item.id)
    said = metadata.read(services.library.path(item.id)) if item.record.kind == "image" else metadata.Metadata()
    row = {**_item_row(item, base_url), "params": recipe.params if recipe else said.params}
    row |= {"pipeline": recipe.pipeline} if recipe else {}
    shown: list[ContentBlock] = []
    if item.record.kind == "image" and (picture := picture_of(services, item.record, MAX_BASE64_CHARS)):
        shown.append(picture)
    return _answer(row, [json.dumps(row, ensure_ascii=False)], [*shown, link_of(item.record, row["url"])])


def _item_row(item: Item, base_url: str) -> dict[str, Any]:
    marks = {"favourite": item.favourite, "rating": item.marks.rating, "tags": list(item.marks.tags)}
    return {**artifact_row(item.record, base_url), "prompt": item.prompt, **marks}


def _list_jobs(services: Services, asked: ListJobs, base_url: str) -> CallToolResult:
    pipeline = find_pipeline(services, asked.pipeline).id if asked.pipeline else ""
    met = matching(services, asked.state, pipeline, asked.limit + 1, asked.before)
    shown = met[: asked.limit]
    rows = [{key: value for key, value in _job_row(job, base_url).items() if key != "params"} for job in shown]
    said = {"jobs": rows, "next": shown[-1].id if len(met) > asked.limit else None}
    return _answer(said, [_job_words(job) for job in shown] or ["There is no such job."])


def _get_job(services: Services, asked: OneJob, base_url: str) -> CallToolResult:
    return _job_answer(services.jobs.get(asked.id), base_url)


def _cancel_job(services: Services, asked: OneJob, base_url: str) -> CallToolResult:
    return _job_answer(services.jobs.cancel(asked.id), base_url)


def _job_answer(job: Job, base_url: str) -> CallToolResult:
    links = [link_of(record, artifact_row(record, base_url)["url"]) for record in job.artifacts]
    return _answer(_job_row(job, base_url), [_job_words(job)], links)


def _job_row(job: Job, base_url: str) -> dict[str, Any]:
    kept = ("id", "pipeline", "state", "created_at", "started_at", "finished_at", "position", "params", "error")
    row = {name: value for name, value in job.model_dump(mode="json").items() if name in kept and value is not None}
    return {
        **row,
        "progress": round(job.progress.fraction, 4),
        "warnings": list(job.warnings),
        "artifacts": [artifact_row(record, base_url) for record in job.artifacts],
    }


def _job_words(job: Job) -> str:
    told = f"{job.id} {job.pipeline}: {job.state.value}"
    if job.state is JobState.RUNNING:
        told += f", {round(100 * job.progress.fraction)} %"
    if job.artifacts:
        told += ", made " + " ".join(f"artifact:{record.id}" for record in job.artifacts[:8])
    return f"{told}. {job.error.message} {job.error.hint}".strip() if job.error else told


def _answer(said: dict[str, Any], lines: list[str], shown: list[Any] | None = None) -> CallToolResult:
    return CallToolResult(content=[*(shown or []), TextContent(text="\n".join(lines))], structured_content=said)


STUDIO_TOOLS: Mapping[str, StudioTool] = {
    "gallery-search": StudioTool(
        "Search the gallery", "What was made here, the newest first: pictures and everything else.", Search, _search
    ),
    "gallery-get": StudioTool(
        "Fetch from the gallery", "A picture of the gallery, and how it was made.", OneArtifact, _get
    ),
    "jobs-list": StudioTool(
        "List jobs", "Jobs of the queue, the newest first, with their states.", ListJobs, _list_jobs
    ),
    "jobs-get": StudioTool("Look at a job", "How far a job is, what it made, and why it failed.", OneJob, _get_job),
    "jobs-cancel": StudioTool(
        "Cancel a job",
        "A queued job ends at once, a running one within a step; what it has made stays.",
        OneJob,
        _cancel_job,
        changes=True,
    ),
}
