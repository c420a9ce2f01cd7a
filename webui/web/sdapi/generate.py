"""``txt2img`` and ``img2img``: a request becomes a job, and its answer comes when the job has ended."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.jobs import Job, JobState
from webui.web.http_api.pipelines import find_pipeline
from webui.web.http_api.streams import OpenStreams
from webui.web.services import Services

from . import answers, errors
from .options import Options
from .requests import MAX_PICTURES, Generation, Img2Img, Txt2Img, read
from .running import Running
from .translate import pipeline_of, translate

_CHECK_S = 15.0


def router(services: Services, options: Options, running: Running, streams: OpenStreams) -> APIRouter:
    routes = APIRouter()
    limit = services.settings.max_upload_bytes

    def submit(body: Generation) -> tuple[Job, list[str]]:
        spec = find_pipeline(services, pipeline_of(body))
        asked = translate(body, spec, options.for_job(body.override_settings))
        return services.jobs.submit(spec.id, asked.params), asked.warnings

    async def wait(job: Job) -> Job:
        subscription = await run_in_threadpool(services.jobs.subscribe, job.id)
        with running.following(job, _images(job.params)) as run, streams.reading(subscription):
            while not (subscription.closed or run.job.state.ended):
                item = await subscription.receive_async(_CHECK_S)
                if item is not None:
                    run.take(item)
        return await run_in_threadpool(services.jobs.get, job.id)

    async def generate(body: Generation) -> Response:
        job, warnings = await run_in_threadpool(submit, body)
        job = await wait(job)
        if job.state is JobState.FAILED and not job.artifacts:
            return errors.of_job(job)
        if not job.state.ended:
            return errors.error(503, "Stopping", f"the server stops; job {job.id} goes on at its next start")
        return JSONResponse(await run_in_threadpool(answers.answer, services, body, job, warnings))

    @routes.post("/txt2img")
    async def txt2img(request: Request) -> Response:
        return await generate(await read(request, Txt2Img, limit))

    @routes.post("/img2img")
    async def img2img(request: Request) -> Response:
        return await generate(await read(request, Img2Img, limit, MAX_PICTURES))

    return routes


def _images(params: Mapping[str, object]) -> int:
    size, count = params.get("batch_size"), params.get("batch_count")
    return (size if isinstance(size, int) else 1) * (count if isinstance(count, int) else 1)
