"""How jobs and artifacts look in JSON: their records of webui.core, and the addresses a client goes on with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from webui.core.jobs import ArtifactRecord, Job

PREFIX = "/api/v1"


class ArtifactView(ArtifactRecord):
    """An artifact's record, and where its bytes are."""

    url: str


class JobView(Job):
    """A job, where it is watched, and its artifacts with their addresses."""

    url: str
    events_url: str
    artifacts: tuple[ArtifactView, ...] = ()


class JobPage(BaseModel):
    jobs: list[JobView]
    next: str | None = Field(description="Pass as `before` for the next page; null on the last")


def artifact_view(record: ArtifactRecord) -> dict[str, Any]:
    return {**record.model_dump(mode="json"), "url": f"{PREFIX}/artifacts/{record.id}"}


def job_view(job: Job) -> dict[str, Any]:
    url = f"{PREFIX}/jobs/{job.id}"
    return {
        **job.model_dump(mode="json", exclude={"artifacts"}),
        "artifacts": [artifact_view(record) for record in job.artifacts],
        "url": url,
        "events_url": f"{url}/events",
    }
