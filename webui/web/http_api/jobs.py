"""The routes of jobs: submit, list, look at, watch, cancel, retry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse

from webui.core.errors import Conflict, FieldError, ParameterError
from webui.core.jobs import Job, JobState
from webui.core.parameters import FILE_KINDS, describe
from webui.core.specs import PipelineSpec
from webui.core.work_folders import left_by
from webui.library.uploads import Expected
from webui.web.services import Services

from . import streams
from .body import Submission, read_submission
from .pipelines import find_pipeline
from .views import JobPage, JobView, job_view

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Server-sent events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


_EXPECTED: Mapping[str, Expected] = {"image": "image", "image_mask": "image", "images": "image", "audio": "audio"}
"""What a parameter's file must be, by the parameter's kind; any file for the others."""


def add_files(services: Services, spec: PipelineSpec, sent: Submission) -> dict[str, Any]:
    """The parameters of a submission, with a stored upload's reference for each of its files. Raises ParameterError."""
    params = dict(sent.params)
    kinds = {row.name: row.kind for row in describe(spec.params)}
    wrong = [
        FieldError(name, "does not take a file" if name in kinds else "there is no such parameter", files[0].name)
        for name, files in sent.files.items()
        if kinds.get(name) not in FILE_KINDS
    ]
    wrong += [
        FieldError(name, "takes one file", f"{len(files)} files")
        for name, files in sent.files.items()
        if len(files) > 1 and kinds.get(name) in FILE_KINDS - {"images"}
    ]
    if wrong:
        raise ParameterError(wrong)
    for name, files in sent.files.items():
        refs = [
            services.uploads.put(one.data, one.name, expect=_EXPECTED.get(kinds[name], "file"), field=name)
            for one in files
        ]
        before = params.get(name)
        params[name] = [*(before if isinstance(before, list) else ()), *refs] if kinds[name] == "images" else refs[0]
    return params


def router(services: Services, open_streams: streams.OpenStreams) -> APIRouter:
    routes = APIRouter(tags=["jobs"])
    jobs = services.jobs

    def submit_job(sent: Submission) -> Job:
        spec = find_pipeline(services, sent.pipeline)
        return jobs.submit(spec.id, add_files(services, spec, sent))

    def accepted(job: Job) -> JSONResponse:
        view = job_view(job)
        return JSONResponse(view, 200 if job.state.ended else 202, headers={"Location": view["url"]})

    @routes.post("/jobs", status_code=202, response_model=JobView, summary="Put a job into the queue")
    async def submit(request: Request) -> Response:
        """As JSON, or as multipart/form-data with a part `job` of that JSON and files named after their parameters.
        Files may also be data URLs, or references from `POST /uploads` and of artifacts (`artifact:<id>`).
        """
        sent = await read_submission(request, services.settings.max_upload_bytes)
        return accepted(await run_in_threadpool(submit_job, sent))

    @routes.get("/jobs", response_model=JobPage, summary="Jobs, the newest first")
    def list_jobs(
        state: Annotated[JobState | None, Query(description="Only jobs in this state")] = None,
        pipeline: Annotated[str, Query(description="Only jobs of this pipeline")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[str | None, Query(description="`next` of the page before")] = None,
    ) -> Response:
        wanted = find_pipeline(services, pipeline).id if pipeline else ""
        # One more than asked tells whether there is a next page.
        met = matching(services, state, wanted, limit + 1, before)
        page = [job_view(job) for job in met[:limit]]
        return JSONResponse({"jobs": page, "next": page[-1]["id"] if len(met) > limit else None})

    @routes.get("/jobs/{job_id}", response_model=JobView, summary="One job")
    def get_job(job_id: str) -> Response:
        return JSONResponse(job_view(jobs.get(job_id)))

    @routes.delete("/jobs/{job_id}", status_code=202, response_model=JobView, summary="Cancel a job")
    def cancel_job(job_id: str) -> Response:
        """A queued job ends at once, a running one within a step (202), and one that has ended stays as it is."""
        return accepted(jobs.cancel(job_id))

    @routes.post(
        "/jobs/{job_id}/retry",
        status_code=202,
        response_model=JobView,
        summary="Run a job again that failed or was cancelled",
    )
    def retry_job(job_id: str) -> Response:
        return accepted(jobs.retry(job_id))

    @routes.post(
        "/jobs/{job_id}/resume",
        status_code=202,
        response_model=JobView,
        summary="Go on with a stopped or failed job from what it left",
    )
    def resume_job(job_id: str) -> Response:
        """As retry, where there is something to go on from: finished artifacts, or the work of a pipeline that keeps
        it. 409 where there is not, and the job would begin anew.
        """
        job = jobs.get(job_id)
        if job.state.ended and not job.artifacts and left_by(services.settings, job_id) is None:
            raise Conflict("This job left nothing to go on from.", hint="Try it again from its beginning.")
        return accepted(jobs.retry(job_id))

    @routes.get("/jobs/{job_id}/events", response_class=StreamingResponse, responses=_STREAM, summary="Watch one job")
    async def job_events(job_id: str, request: Request) -> Response:
        """`snapshot` (the job) first, then `started`, `progress`, `preview`, `artifact`, `warning`, and at last `done`,
        `failed` or `cancelled`. Coming back after a cut needs nothing: the snapshot holds what was missed.
        """
        job = await run_in_threadpool(jobs.get, job_id)
        if job.state.ended and request.headers.get("last-event-id") == streams.ENDED:
            return Response(status_code=204)  # EventSource comes back after every end of a stream; 204 makes it stop
        return streams.response(streams.job_frames(await run_in_threadpool(jobs.subscribe, job_id), open_streams))

    @routes.get("/events", response_class=StreamingResponse, responses=_STREAM, summary="Watch everything")
    async def all_events(
        previews: Annotated[
            tuple[str, ...], Query(description="Ids of jobs whose `preview` events are wanted too")
        ] = (),
    ) -> Response:
        """`status` (queue counts, workers and their devices) first and when it changes; every job's events, but
        `preview` only of the jobs named.
        """

        def status() -> dict[str, Any]:
            return {"queue": queue_counts(services), "workers": workers(services)}

        subscription = await run_in_threadpool(jobs.subscribe, None)
        return streams.response(streams.all_frames(subscription, open_streams, status, frozenset(previews)))

    return routes


def matching(services: Services, state: JobState | None, pipeline: str, limit: int, before: str | None) -> list[Job]:
    """The newest ``limit`` jobs before ``before``. The queue knows states, not pipelines: those are picked here, page
    by page.
    """
    met: list[Job] = []
    while len(met) < limit:
        page = services.jobs.list(state=state, limit=limit, before=before)
        met += [job for job in page if pipeline in ("", job.pipeline)]
        if len(page) < limit:
            break
        before = page[-1].id
    return met[:limit]


def queue_counts(services: Services) -> dict[str, int]:
    """How many jobs there are in each state; every state is named."""
    counts = services.jobs.counts()
    return {state.value: int(counts.get(state, 0)) for state in JobState}


def workers(services: Services) -> list[dict[str, Any]]:
    """The workers as JSON, but for their models and hooks: ``GET /memory`` and ``GET /extensions`` tell of those."""
    return [
        {
            key: value.model_dump(mode="json") if hasattr(value, "model_dump") else value
            for key, value in worker.items()
            if key not in ("memory", "hooks")
        }
        for worker in services.jobs.workers()
    ]
