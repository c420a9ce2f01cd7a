"""Behind a proxy: who is believed, which address stands in links and cookies, and where the studio is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from tests.web.conftest import make_services
from tests.web.shared import share
from webui.core.errors import SetupError
from webui.core.settings import Settings, load_settings
from webui.web.proxies import Proxies
from webui.web.server import browser_address

TOLD = {
    "X-Forwarded-For": "6.6.6.6, 203.0.113.7, 10.0.0.2",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "studio.example",
    "Forwarded": "for=1.2.3.4",
}


def seen(client: str, headers: dict[str, str], trusted: tuple[str, ...] = ("10.0.0.0/8", "::1"), **more: Any) -> Any:
    """The scope as what stands behind meets it."""
    met: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        met.append(scope)

    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "path": "/a", "headers": raw, "client": (client, 5), "scheme": "http"}
    said: dict[str, Any] = {"trusted": trusted, "root_path": "", "tunnel": lambda: ("", ""), **more}
    anyio.run(Proxies(app, **said), scope, None, None)
    return met[0]


def test_a_trusted_proxy_is_believed_and_no_further() -> None:
    scope = seen("10.0.0.1", {"Host": "inner:7860", **TOLD})
    assert scope["client"][0] == "203.0.113.7", "what the client itself wrote before it does not count"
    assert scope["scheme"] == "https"
    assert scope["headers"] == [(b"host", b"studio.example")]


def test_anybody_else_is_not() -> None:
    scope = seen("203.0.113.9", {"Host": "studio:7860", **TOLD})
    assert (scope["client"][0], scope["scheme"]) == ("203.0.113.9", "http")
    assert scope["headers"] == [(b"host", b"studio:7860")], "nor does anything behind read it"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("", "10.0.0.1"), ("10.0.0.3, 10.0.0.2", "10.0.0.1"), ("x, ;DROP", "10.0.0.1"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"), ("2001:db8::1, ::ffff:10.0.0.2", "2001:db8::1"),
    ],
)  # fmt: skip
def test_the_client_is_the_last_that_no_proxy_of_ours_added(chain: str, client: str) -> None:
    assert seen("10.0.0.1", {"X-Forwarded-For": chain})["client"][0] == client


def test_a_tunnels_https_is_known_by_its_name() -> None:
    tunnel = {"tunnel": lambda: ("https", "abc.gradio.live"), "trusted": ()}
    assert seen("127.0.0.1", {"Host": "abc.gradio.live"}, **tunnel)["scheme"] == "https"
    assert seen("127.0.0.1", {"Host": "127.0.0.1:7860"}, **tunnel)["scheme"] == "http"


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/studio/api/v1/jobs"])
def test_a_root_is_there_whether_the_proxy_passes_it_on_or_not(path: str) -> None:
    met: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        met.append(scope)

    scope = {"type": "http", "path": path, "raw_path": path.encode(), "headers": [], "client": None, "scheme": "http"}
    anyio.run(Proxies(app, (), "/studio", lambda: ("", "")), scope, None, None)
    assert (met[0]["path"], met[0]["raw_path"]) == ("/studio/api/v1/jobs", b"/studio/api/v1/jobs")
    assert met[0]["root_path"] == "/studio"


@pytest.mark.parametrize("stripped", [True, False])
def test_the_whole_studio_below_a_path(tmp_path: Path, stripped: bool) -> None:
    settings = {"root_path": "/studio", "trusted_proxies": ("10.0.0.1",), "api_sdapi": True}
    shared = share(make_services(tmp_path, **settings))
    root = "" if stripped else "/studio"
    outside = {"X-Forwarded-Host": "studio.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    client = TestClient(
        shared.app, base_url="http://inner:7860", client=("10.0.0.1", 1), follow_redirects=False, headers=outside
    )
    asked = client.get(f"{root}/", headers={"Accept": "text/html"})
    assert (asked.status_code, asked.headers["location"]) == (303, "/studio/login?next=%2F")
    link = shared.services.accounts.make_link("olga")
    page = client.get(f"{root}/login/{link}")
    assert f'action="/studio/login/{link}"' in page.text
    entered = client.post(f"{root}/login/{link}", headers={"Origin": "https://studio.example"})
    assert (entered.status_code, entered.headers["location"]) == (303, "/studio/")
    cookie = entered.headers["set-cookie"]
    assert "Secure" in cookie
    assert "Path=/studio" in cookie
    client.headers["Cookie"] = cookie.partition(";")[0]
    assert client.get(f"{root}/api/v1/me").json()["name"] == "olga"
    assert client.get(f"{root}/sdapi/v1/progress").status_code == 200
    assert client.get(f"{root}/api/v1/nothing").json()["type"] == "urn:lifelike:not-found"
    assert client.patch(f"{root}/api/v1/health").status_code == 405
    evil = client.post(f"{root}/api/v1/people", headers={"Origin": "https://inner:7860"})
    assert evil.status_code == 403


def test_settings_of_proxies_are_checked(tmp_path: Path) -> None:
    environ = {"LIFELIKE_TRUSTED_PROXIES": "10.0.0.1, 192.168.0.0/16", "LIFELIKE_ROOT_PATH": "/studio/"}
    settings = load_settings({"data_dir": tmp_path}, environ)
    assert settings.trusted_proxies == ("10.0.0.1", "192.168.0.0/16")
    assert settings.root_path == "/studio"
    assert settings.asks_login
    for name, value in (
        ("root_path", "studio"),
        ("root_path", "/a b"),
        ("root_path", "//x"),
        ("trusted_proxies", ["x"]),
    ):
        with pytest.raises(SetupError, match=name):
            load_settings({"data_dir": tmp_path, name: value}, {})


def test_the_address_that_is_shown() -> None:
    assert browser_address("127.0.0.1", 7860, "", "/studio", tls=True) == "https://127.0.0.1:7860/studio/"
    assert Settings().root_path == ""
