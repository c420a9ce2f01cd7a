"""A stream that was opened by somebody who is logged out meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import make_services
from tests.web.shared import share
from webui.web import rechecking
from webui.web.doors import cookie_name


@pytest.mark.parametrize("leave", ["logged out", "taken away", "token void", "stays"])
def test_an_event_stream_ends_with_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave: str) -> None:
    monkeypatch.setattr(rechecking, "RECHECK_S", 0.05)
    monkeypatch.setattr("webui.web.http_api.streams.STATUS_S", 0.02)
    monkeypatch.setattr("webui.web.http_api.streams.HEARTBEAT_S", 0.02)
    shared = share(make_services(tmp_path))
    accounts = shared.services.accounts
    browser = shared.browser("guest")
    (cookie,) = browser.cookies.items()
    secret, token = accounts.add_token("kim", ["read"])
    header = (b"authorization", f"Bearer {secret}".encode())
    if leave != "token void":
        header = (b"cookie", f"{cookie[0]}={cookie[1]}".encode())
    scope: dict[str, Any] = {
        "type": "http", "method": "GET", "path": "/api/v1/events", "raw_path": b"/api/v1/events", "query_string": b"",
        "headers": [(b"host", b"studio.example:7860"), header], "scheme": "http", "client": ("203.0.113.7", 1),
        "server": ("studio.example", 7860), "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
    }  # fmt: skip
    assert cookie_name(scope) == cookie[0]
    sent: list[Any] = []

    async def watch() -> bool:
        gone, flowing = asyncio.Event(), asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) == 4:
                flowing.set()

        served = asyncio.create_task(shared.app(scope, receive, send))
        await asyncio.wait_for(flowing.wait(), 10)
        if leave == "logged out":
            accounts.end_sessions("kim")
        elif leave == "taken away":
            accounts.remove("kim")
        elif leave == "token void":
            accounts.remove_token("kim", token.id)
        done, _ = await asyncio.wait({served}, timeout=0.5 if leave == "stays" else 10)
        gone.set()
        await asyncio.wait_for(served, 10)
        return bool(done)

    assert asyncio.run(watch()) == (leave != "stays")
    assert sent[0]["status"] == 200
    if leave != "stays":
        assert sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
        assert len(shared.app.state.streams) == 0
