"""A shared studio for tests: an owner and two guests, each with a browser that is logged in."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.testclient import TestClient

from webui.accounts.people import Role
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.services import Services

BASE = "http://studio.example:7860"
PASSWORD = "correct horse battery"
NAMES = {"owner": ("olga", Role.OWNER), "guest": ("kim", Role.GUEST), "other": ("lee", Role.GUEST)}


@dataclass
class Shared:
    """``app`` must have been started (``tests.web.conftest.started``)."""

    services: Services
    app: FastAPI

    def stranger(self) -> TestClient:
        return TestClient(self.app, base_url=BASE, follow_redirects=False)

    def browser(self, who: str) -> TestClient:
        """Of ``owner``, ``guest`` or ``other``: entered by a link."""
        client = self.stranger()
        answer = client.post(f"/login/{self.services.accounts.make_link(NAMES[who][0])}")
        assert answer.status_code == 303, answer.text
        return client

    def program(self, who: str, scope: str) -> TestClient:
        client = self.stranger()
        client.headers["Authorization"] = f"Bearer {self.services.accounts.add_token(NAMES[who][0], [scope])[0]}"
        return client


def share(services: Services, *, page: bool = False) -> Shared:
    for name, role in NAMES.values():
        services.accounts.add(name, role)
    return Shared(services, create_app(services, AccessPolicy(login=True), page=page))
