"""Between an assistant and the queue: a tool's call becomes a job, its progress is told, and its end is the answer. The
gallery and the queue answer at once.
"""

from __future__ import annotations

from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
)

import webui
from webui.core.errors import LifelikeError
from webui.core.guests import is_open
from webui.core.jobs import Job, JobProgress
from webui.web.http_api.streams import OpenStreams
from webui.web.principal import acting_for, of_request
from webui.web.services import Services

from .content import failure, result_of
from .studio_tools import STUDIO_TOOLS
from .tools import tool_name, tool_of

_CHECK_S = 15.0
_INSTRUCTIONS = (
    "Each tool makes pictures, or measures or changes them, as a job of a queue. A seed of -1 is drawn at random and "
    "is in the answer; the same parameters and seed make the same picture again. What a tool makes can be given to "
    "another as artifact:<id>. The gallery's tools find what was made before, those of jobs tell of the queue."
)


def make_server(services: Services, streams: OpenStreams) -> Server[Any]:
    """The protocol's side of the application. Its tools are the pipelines of the loaded extensions."""
    specs = {tool_name(spec.id): spec for spec in services.host.pipelines.values()}

    async def list_tools(ctx: ServerRequestContext[Any], params: PaginatedRequestParams | None) -> ListToolsResult:
        who = of_request(ctx.request)
        shown = [spec for spec in specs.values() if who is None or not who.is_guest or is_open(spec)]
        further = [tool.declared(name) for name, tool in STUDIO_TOOLS.items()]
        return ListToolsResult(tools=[*(tool_of(spec) for spec in shown), *further])

    async def call_tool(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        # A session's task began with its first request, which somebody else may have sent.
        with acting_for(of_request(ctx.request)):
            return await call(ctx, params)

    async def call(ctx: ServerRequestContext[Any], params: CallToolRequestParams) -> CallToolResult:
        base_url = str(ctx.request.base_url).rstrip("/") if ctx.request is not None else ""
        arguments = params.arguments or {}
        own = STUDIO_TOOLS.get(params.name)
        if own is not None:
            try:
                return await anyio.to_thread.run_sync(own.call, services, arguments, base_url)
            except LifelikeError as error:
                return failure(str(error))
        spec = specs.get(params.name)
        if spec is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:80]!r}")
        try:
            job = await anyio.to_thread.run_sync(lambda: services.jobs.submit(spec.id, arguments))
        except LifelikeError as error:
            return failure(str(error))
        try:
            job = await _followed(services, streams, job, ctx)
        except anyio.get_cancelled_exc_class():
            # Nobody waits for it any more.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(services.jobs.cancel, job.id)
            raise
        return await anyio.to_thread.run_sync(result_of, services, job, base_url)

    return Server(
        "lifelike",
        version=webui.__version__,
        title="Lifelike",
        instructions=_INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _followed(services: Services, streams: OpenStreams, job: Job, ctx: ServerRequestContext[Any]) -> Job:
    """The job when it has ended, or when the server stops. Progress is told in 0..1."""
    subscription = await anyio.to_thread.run_sync(services.jobs.subscribe, job.id)
    last = -1.0
    with streams.reading(subscription):
        while not subscription.closed:
            item = await subscription.receive_async(_CHECK_S)
            if isinstance(item, Job) and item.state.ended:
                break
            if isinstance(item, JobProgress) and item.progress.fraction > last:
                last = item.progress.fraction
                await ctx.session.report_progress(last, 1.0, _words(item))
    return await anyio.to_thread.run_sync(services.jobs.get, job.id)


def _words(event: JobProgress) -> str:
    progress = event.progress
    if progress.message:
        return progress.message
    return f"image {progress.image + 1} of {max(1, progress.images)}, step {progress.step} of {progress.steps}"
