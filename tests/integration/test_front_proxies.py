"""Behind nginx and Caddy, with the lines that docs/sharing.md gives for them: real ones, where they are installed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from PIL import Image

from tests.integration.server import ROOT, Server, free_port, running

TOKEN = "a-token-of-more-than-sixteen-letters"
AS_OWNER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    said = {
        "LIFELIKE_ACCESS_TOKEN": TOKEN,
        "LIFELIKE_TRUSTED_PROXIES": "127.0.0.1",
        "LIFELIKE_ROOT_PATH": "/studio",
        "LIFELIKE_MODELS_DIRS": str(tmp_path_factory.mktemp("models")),
    }
    with running(tmp_path_factory.mktemp("studio"), environment=said) as server:
        yield server


def block(language: str, studio: Server) -> str:
    """The lines of the docs, with this server's port."""
    text = (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert ":7860" in found
    return str(found).replace(":7860", f":{studio.client.base_url.port}")


def nginx(studio: Server, folder: Path, port: int) -> list[str]:
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if os.geteuid() == 0 else ""
    lines = f"""{user} daemon off; pid {folder}/pid; error_log {folder}/errors; events {{}}
        http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; {block("nginx", studio)} }} }}"""
    (folder / "nginx.conf").write_text(lines, encoding="utf-8")
    return ["nginx", "-p", str(folder), "-e", str(folder / "errors"), "-c", str(folder / "nginx.conf")]


def caddy(studio: Server, folder: Path, port: int) -> list[str]:
    site = block("caddy", studio).replace("studio.example", f"http://127.0.0.1:{port}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}", encoding="utf-8")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.fixture(params=[nginx, caddy], ids=lambda proxy: str(proxy.__name__))
def address(request: pytest.FixtureRequest, studio: Server, tmp_path: Path) -> Iterator[str]:
    """Where the proxy shows the studio."""
    name = request.param.__name__
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    port = free_port()
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with (tmp_path / "log").open("wb") as log:
        proxy = subprocess.Popen(request.param(studio, tmp_path, port), stdout=log, stderr=log, env=environment)
        try:
            deadline = time.monotonic() + 30
            while not _listens(port):
                assert proxy.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, "the proxy does not listen"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/studio/"
        finally:
            proxy.terminate()
            proxy.wait(10)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def test_the_page_a_file_a_job_and_its_events_come_through(address: str) -> None:
    with httpx.Client(base_url=address, headers=AS_OWNER, timeout=60) as client:
        assert httpx.get(address, timeout=60).status_code == 401
        page = client.get("")
        assert page.status_code == 200
        linked = {urljoin(address, link) for link in re.findall(r'(?:src|href)="([^"#:]+)"', page.text)}
        own = [link for link in linked if "/ui/static/" in link]
        assert len(own) > 5
        assert {client.get(link).status_code for link in own} == {200}

        data = io.BytesIO()
        Image.effect_noise((1400, 1400), 90).save(data, "PNG")
        assert data.tell() > 2**20, "more than nginx takes without being told"
        sent = {"file": ("noise.png", data.getvalue(), "image/png")}
        assert client.post("api/v1/uploads", files=sent).status_code == 201

        with client.stream("GET", "api/v1/events") as events:
            job = client.post("api/v1/jobs", json={"pipeline": "paint.squares"}).json()["id"]
            # Were they held back, none would come before the stream's end, and it has none.
            assert next(line for line in events.iter_lines() if job in line)


def test_who_asks_is_who_asked_the_proxy(address: str) -> None:
    own, foreign = address.removesuffix("/studio/"), "https://elsewhere.example"
    given = {"name": "nobody", "password": "wrong"}
    told = [httpx.post(f"{address}login", data=given, headers={"Origin": one}, timeout=60) for one in (own, foreign)]
    assert [one.status_code for one in told] == [401, 403], "its own name is that which the browser used"
    assert 'action="/studio/login"' in told[0].text
