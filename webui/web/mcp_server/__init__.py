"""The Model Context Protocol at ``/mcp`` (streamable HTTP): each pipeline is a tool. Off unless the settings say
``mcp``; the ``mcp`` package is imported only then. The guards in front are those of every other route.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from webui.web.http_api.errors import problem
from webui.web.http_api.streams import OpenStreams
from webui.web.services import Services

PATH = "/mcp"


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[None]:
    """Sessions are kept for the time of the block, which the application's own is."""
    manager = getattr(app.state, "mcp", None)
    if manager is None:
        yield
        return
    async with manager.run():
        yield


def install(app: FastAPI, services: Services, streams: OpenStreams) -> None:
    """Add the route, or in its place an answer that says how to turn it on."""
    if not services.settings.mcp:

        @app.api_route(PATH, methods=["GET", "POST", "DELETE"], include_in_schema=False)
        async def off() -> object:
            return problem(404, "MCP is off.", kind="not-found", hint="Start with --mcp, or set mcp.")

        return
    from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
    from mcp.server.transport_security import TransportSecuritySettings

    from .server import make_server

    app.state.mcp = StreamableHTTPSessionManager(
        make_server(services, streams),
        # HostGuard, OriginGuard and AccessGuard have judged the request before it comes here.
        security_settings=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        max_request_body_size=services.settings.max_upload_bytes * 2,
        max_sessions=100,
    )
    app.router.routes.append(Route(PATH, endpoint=StreamableHTTPASGIApp(app.state.mcp)))
