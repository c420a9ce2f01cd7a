"""The interface of A1111's clients, ``/sdapi/v1``: their requests become jobs of our pipelines, our artifacts their
answers. Off unless the settings say ``api_sdapi``.

It is an application of its own, mounted beside ours, since its errors have another shape. The guards in front (login,
host, origin, size) are the same.
"""

from __future__ import annotations

from fastapi import FastAPI

import webui
from webui.web.http_api.streams import OpenStreams
from webui.web.principal import asking
from webui.web.services import Services

from . import errors, generate, lists, pictures, state
from .following import Following
from .options import Options
from .running import Running

PREFIX = "/sdapi/v1"


def install(app: FastAPI, services: Services, streams: OpenStreams) -> None:
    """Mount the interface, or in its place an answer that says how to turn it on."""
    part = FastAPI(title="Lifelike, sdapi", version=webui.__version__, openapi_url=None, docs_url=None, redoc_url=None)
    errors.install(part)
    if services.settings.api_sdapi:
        options = Options(services)
        running = Running((lambda: asking().job_owner) if services.asks_login else None)
        following = Following(services.jobs, running, streams)
        part.include_router(generate.router(services, options, following))
        part.include_router(lists.router(services))
        part.include_router(pictures.router(services, following))
        part.include_router(state.router(services, options, running))
    else:
        errors.add_switched_off(part)
    app.mount(PREFIX, part)
