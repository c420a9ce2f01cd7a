"""Who sends the bad requests: anyone where there is no login, and each kind of visitor where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from starlette.testclient import TestClient

from tests.web.conftest import make_services, wait_for
from tests.web.shared import share
from webui.web.access import AccessPolicy
from webui.web.application import create_app

SENDERS = ("open", "owner", "guest", "stranger", "token")


@contextmanager
def open_senders(folder: Path) -> Iterator[Mapping[str, TestClient]]:
    """A client for each of SENDERS: ``open`` of an application without login, the others of one with it."""
    limits = {"max_upload_bytes": 400_000, "max_image_pixels": 1_000_000}
    alone = create_app(make_services(folder / "alone", **limits), AccessPolicy(), page=False)
    shared = share(make_services(folder / "shared", **limits))
    with ExitStack() as stack:
        for app in (alone, shared.app):
            stack.enter_context(TestClient(app, base_url="http://127.0.0.1"))
            wait_for(lambda app=app: app.state.start.status == "ok")
        clients = {
            "open": TestClient(alone, base_url="http://127.0.0.1"),
            "owner": shared.browser("owner"),
            "guest": shared.browser("guest"),
            "stranger": shared.stranger(),
            "token": shared.program("guest", "generate"),
        }
        for client in clients.values():
            client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
        yield clients
