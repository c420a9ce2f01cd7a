"""The FastAPI application of the web process: the HTTP interface, Gradio's page, and the guards in front of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Mount

import webui
from webui.catalog.background import BackgroundHasher
from webui.core.errors import LifelikeError
from webui.core.jobs import Job, JobState
from webui.core.settings import Settings
from webui.core.specs import TunnelSpec
from webui.library.library import Library
from webui.plugins.host import HookResult

from . import faststart, http_api, login, mcp_server, sdapi
from .access import AccessGuard, AccessPolicy
from .doors import Doors, read_key
from .file_guard import FileGuard
from .guard import AnswerHeaders, BodyLimit, HostGuard, OriginGuard
from .guessing import GuessLimit, OpenPaths
from .http_api.pipelines import find_pipeline
from .http_api.streams import OpenStreams
from .http_api.system import Progress
from .kept import KeptAnswers
from .proxies import Proxies
from .scoped import scoped
from .services import Services
from .sharing import Open, Sharing, find_tunnel

log = logging.getLogger(__name__)

FIRST_ANSWER_S = 3.0
"""The rest of the start waits for the first page at most this long: a server that nobody looks at works on its queue
too.
"""
FILES_IN_A_REQUEST = 4
"""The largest request has as many bytes as this many of the largest upload."""


class _Application:
    """``webui.api.Application``: what ``app_started`` receives."""

    def __init__(self, http: FastAPI, services: Services, open_paths: OpenPaths) -> None:
        self.http = http
        self.without_login = open_paths.add
        self._services = services

    @property
    def settings(self) -> Mapping[str, Any]:
        return self._services.settings.model_dump(mode="json")

    def folders(self, name: str) -> Sequence[Path]:
        return self._services.settings.folders(name)

    def submit(self, pipeline: str, params: Mapping[str, Any], owner: str = "local") -> Job:
        return self._services.jobs.submit(find_pipeline(self._services, pipeline).id, params, owner)

    def job(self, job_id: str) -> Job:
        return self._services.jobs.get(job_id)


def create_app(services: Services, policy: AccessPolicy | None = None, *, page: bool = True) -> FastAPI:
    """The whole application: the interface's routes, then the page at "/", behind the guards.

    ``policy`` is by default what the settings' host and the environment ask for. Without ``page`` Gradio is not
    imported. In ``app.state``: ``streams``, the open event streams, to be stopped before the server waits for its
    connections; ``start``, how far the start is; ``sharing``, whose ``begin`` opens the tunnel. Raises SetupError.
    """
    if policy is None:
        policy = AccessPolicy.decide(services.settings, os.environ)
    settings = services.settings
    doors = (
        Doors(services.accounts, policy.token, read_key(settings.data_dir), settings.root_path) if policy.asks else None
    )
    shown = scoped(services) if doors is not None else services
    sharing = Sharing(settings.share, _tunnel_of(services))
    start, streams, first_page, open_paths = Progress(), OpenStreams(), asyncio.Event(), OpenPaths()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        rest = asyncio.create_task(
            _start_rest(app, _Application(app, services, open_paths), services, start, first_page)
        )
        try:
            async with mcp_server.serving(app):
                yield
        finally:
            streams.stop()
            await asyncio.to_thread(sharing.stop)
            if app.state.hasher is not None:
                await asyncio.to_thread(app.state.hasher.stop)
            await _stop(services, start, rest)

    app = FastAPI(
        title="Lifelike", version=webui.__version__, lifespan=lifespan,
        # Their pages load scripts from another machine.
        docs_url=None, redoc_url=None,
    )  # fmt: skip
    app.state.streams, app.state.start, app.state.hasher = streams, start, None
    app.state.sharing = sharing
    app.state.local_only = not policy.asks
    limit = GuessLimit()
    http_api.install(app, shown, streams, start, sharing)
    sdapi.install(app, shown, streams)
    mcp_server.install(app, shown, streams)
    if doors is not None:
        login.install(app, doors, services.accounts, limit)
    if page:
        _mount_page(app, shown)
    _add_guards(app, settings)
    if doors is not None:
        app.add_middleware(AccessGuard, doors=doors, limit=limit, open_paths=open_paths)
    else:
        app.add_middleware(HostGuard, trusted=policy.trusted_hosts)
    app.add_middleware(AnswerHeaders, on_first_page=first_page.set)
    app.add_middleware(
        Proxies, trusted=settings.trusted_proxies, root_path=settings.root_path, tunnel=lambda: sharing.origin
    )
    return app


def _tunnel_of(services: Services) -> Open | None:
    """Raises SetupError for one that there is not, before anything is served."""
    host, settings = services.host, services.settings

    def load(spec: TunnelSpec) -> Any:
        return host.load_object(host.owner_of("tunnels", spec.id), spec.open)

    return find_tunnel(settings.share, host.tunnels, load, offline=settings.offline)


def _mount_page(app: FastAPI, services: Services) -> None:
    faststart.import_gradio()
    # Not at the top of the module: it imports Gradio, which has to be prepared for.
    from gradio.utils import get_upload_folder

    from .ui.page import mount

    mount(app, services)
    app.add_middleware(FileGuard, uploads=Path(get_upload_folder()))


def _add_guards(app: FastAPI, settings: Settings) -> None:
    """Each one added stands in front of those before it."""
    # Level 5 is a third of the time of 9 for a page 3% larger. Event streams and pictures pass as they are.
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(KeptAnswers)
    app.add_middleware(BodyLimit, limit_bytes=settings.max_upload_bytes * FILES_IN_A_REQUEST + 2**20)
    app.add_middleware(OriginGuard)


async def _start_rest(
    app: FastAPI, told: _Application, services: Services, start: Progress, first_page: asyncio.Event
) -> None:
    """All that the first answer does not need: recovery of the queue, the worker (which imports torch on the same
    cores), hooks.
    """
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(first_page.wait(), FIRST_ANSWER_S)
    await asyncio.to_thread(_sweep, gradio_temp_dir(services.settings))
    starting = asyncio.ensure_future(asyncio.to_thread(services.jobs.start))
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await starting  # its thread cannot be stopped, and nothing may be torn down under it
        raise
    except (LifelikeError, OSError) as error:
        log.exception("jobs cannot be run")
        start.fail(error)
        return
    routes = app.router.routes
    before = len(routes)
    called = await asyncio.to_thread(services.host.call_each, "app_started", app=told)
    _log_errors("app_started", called)
    _move_before_page(routes, before, {record.id for record in services.host.extensions if record.state == "loaded"})
    start.status = "ok"
    # Its imports take seconds, which the first job shall not pay for.
    await asyncio.to_thread(services.jobs.warm)
    # Minutes for a hundred thousand pictures; a daemon, so that the server's end does not wait for it.
    threading.Thread(target=_complete_index, args=(services.library,), name="library-rebuild", daemon=True).start()
    if services.settings.hash_models:
        app.state.hasher = BackgroundHasher(
            services.catalog, lambda: services.jobs.counts().get(JobState.RUNNING, 0) > 0
        )
        app.state.hasher.start()


def _complete_index(library: Library) -> None:
    """Make the library's index anew where it is new or lost while there are files."""
    try:
        if library.files.root.is_dir() and library.needs_rebuild:
            library.rebuild()
    except (LifelikeError, OSError):
        log.exception("the library's index cannot be made anew; `library rebuild` may say more")


def gradio_temp_dir(settings: Settings) -> Path:
    """Where Gradio keeps uploads, and copies of what its components show."""
    return settings.data_dir / "cache" / "gradio"


def _sweep(folder: Path) -> None:
    """Remove what lies in ``folder`` since yesterday or longer: no page that is open refers to it any more."""
    old = time.time() - 24 * 3600
    for item in folder.iterdir() if folder.is_dir() else ():
        if item.is_dir() and item.stat().st_mtime < old:
            shutil.rmtree(item, ignore_errors=True)


def _log_errors(hook: str, results: Sequence[HookResult]) -> None:
    for result in results:
        if result.error is not None:
            log.error("extension %s: %s raised", result.extension, hook, exc_info=result.error)


def _move_before_page(routes: list[BaseRoute], before: int, extensions: set[str]) -> None:
    """Put the routes from place ``before`` on, which extensions added, in front of the page: it is mounted at "/" and
    takes all that comes to it. A route outside its extension's own path is dropped.
    """
    added = routes[before:]
    del routes[before:]
    page = next((at for at, route in enumerate(routes) if isinstance(route, Mount) and route.path == ""), before)
    own = tuple(f"/ext/{name}/" for name in extensions)
    for route in added:
        paths = [one.path or "" for one in iter_route_contexts([route])]  # an included router has several
        if paths and all(path.startswith(own) for path in paths):
            routes.insert(page, route)
            page += 1
        else:
            log.error("a route at %r was refused: an extension's routes are under /ext/<its id>/", ", ".join(paths))


async def _stop(services: Services, start: Progress, rest: asyncio.Task[None]) -> None:
    rest.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await rest
    if start.status == "ok":
        _log_errors("app_stopping", await asyncio.to_thread(services.host.call_each, "app_stopping"))
    await asyncio.to_thread(services.jobs.stop)
