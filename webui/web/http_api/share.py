"""The routes of sharing, the owner's alone: the public address, its QR code, who is connected; stop and begin again."""

from __future__ import annotations

import time

from fastapi import APIRouter
from pydantic import BaseModel, Field

from webui.web.services import Services
from webui.web.sharing import Sharing, qr_svg

CONNECTED_S = 300.0
"""A session that was used since is told of as connected."""


class Connected(BaseModel):
    name: str
    browsers: int
    seen_at: float = Field(description="In s since 1970")


class ShareView(BaseModel):
    state: str = Field(description="off, opening, open, failed or stopped")
    kind: str = Field(description="none, gradio, ssh:USER@HOST, or an extension's")
    url: str
    problem: str
    qr: str = Field(description="The address as an SVG element; empty where there is none")
    connected: list[Connected] = Field(description="People whose browsers asked within the last five minutes")


def router(services: Services, sharing: Sharing) -> APIRouter:
    routes = APIRouter(prefix="/share", tags=["share"])

    def view() -> ShareView:
        shared = sharing.view()
        qr = qr_svg(shared.url) if shared.url else ""
        return ShareView(**vars(shared), qr=qr, connected=_connected(services))

    @routes.get("", summary="The public address, and who is connected")
    def get() -> ShareView:
        return view()

    @routes.post("", status_code=202, summary="Open the tunnel again that was stopped or broke")
    def begin() -> ShareView:
        sharing.again()
        return view()

    @routes.delete("", summary="Close the tunnel; this machine's own page goes on")
    def stop() -> ShareView:
        sharing.stop()
        return view()

    return routes


def _connected(services: Services) -> list[Connected]:
    if not services.asks_login:
        return []
    since = time.time() - CONNECTED_S
    by_name: dict[str, list[float]] = {}
    for session in services.accounts.sessions():
        if session.seen_at >= since:
            by_name.setdefault(session.user, []).append(session.seen_at)
    return [Connected(name=name, browsers=len(seen), seen_at=max(seen)) for name, seen in sorted(by_name.items())]
