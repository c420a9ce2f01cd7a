"""``txt2img`` and ``img2img``: a request becomes a job, and its answer comes when the job has ended."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from webui.core.jobs import Job, JobState
from webui.web.http_api.pipelines import find_pipeline
from webui.web.services import Services

from . import answers, errors, upscalers
from .following import Following
from .options import Options
from .requests import MAX_PICTURES, Generation, Img2Img, Txt2Img, read
from .translate import pipeline_of, translate

CONTROL_KINDS = "controlnet|t2i_adapter"


def router(services: Services, options: Options, following: Following) -> APIRouter:
    routes = APIRouter()
    limit = services.settings.max_upload_bytes

    def submit(body: Generation) -> tuple[Job, list[str]]:
        spec = find_pipeline(services, pipeline_of(body))
        given = options.for_job(body.override_settings)
        controls = upscalers.networks(services, CONTROL_KINDS) if body.alwayson_scripts else {}
        asked = translate(body, spec, given, upscalers.networks(services), controls)
        return services.jobs.submit(spec.id, asked.params), asked.warnings

    async def generate(body: Generation) -> Response:
        job, warnings = await run_in_threadpool(submit, body)
        job = await following.to_end(job)  # with what a skip left to be made
        if (job.state is JobState.FAILED and not job.artifacts) or not job.state.ended:
            return errors.of_job(job)
        return JSONResponse(await run_in_threadpool(answers.answer, services, body, job, warnings))

    @routes.post("/txt2img")
    async def txt2img(request: Request) -> Response:
        return await generate(await read(request, Txt2Img, limit))

    @routes.post("/img2img")
    async def img2img(request: Request) -> Response:
        return await generate(await read(request, Img2Img, limit, MAX_PICTURES))

    return routes
