"""Events of the page name files: only uploaded ones reach a component."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import from_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from webui.web.file_guard import FileGuard
from webui.web.guard import BodyLimit


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "gradio"
    folder.mkdir()
    (folder / "picture.png").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")
    return folder


@pytest.fixture
def client(uploads: Path) -> TestClient:
    async def echo(request: Request) -> Response:
        return JSONResponse(from_json(body)) if (body := await request.body())[:1] == b"[" else PlainTextResponse(body)

    app = Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])])
    app.add_middleware(FileGuard, uploads=uploads)
    return TestClient(app)


def _event(path: str) -> dict[str, Any]:
    return {"data": ["a prompt", {"layers": [{"path": path, "meta": {"_type": "gradio.FileData"}}]}], "fn_index": 3}


def test_an_uploaded_file_passes_whole(client: TestClient, uploads: Path) -> None:
    event = _event(str(uploads / "picture.png"))
    assert client.post("/gradio_api/queue/join", json=event).status_code == 403, "nobody uploaded or saw it yet"
    assert client.post("/gradio_api/upload", json=[str(uploads / "picture.png")]).status_code == 200
    answer = client.post("/gradio_api/queue/join", json=event)
    assert (answer.status_code, answer.request.content) == (200, answer.content)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{uploads}/../secret.txt",
        "{uploads}/link.png",
        "../secret.txt",
        "secret.txt",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "{uploads}-beside/a.png",
        "a\0b",
    ],
)
@pytest.mark.parametrize("route", ["/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/call/x/"])
def test_any_other_file_is_refused(
    client: TestClient, uploads: Path, monkeypatch: pytest.MonkeyPatch, route: str, path: str
) -> None:
    monkeypatch.chdir(uploads.parent)
    answer = client.post(route, json=_event(path.replace("{uploads}", str(uploads))))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:lifelike:foreign-file")


def test_a_text_named_path_that_is_no_file_passes(client: TestClient) -> None:
    assert not os.path.exists("2026-11-22/picture.png")
    assert client.post("/gradio_api/queue/join", json=_event("2026-11-22/picture.png")).status_code == 200


@pytest.mark.parametrize("body", [b"{", '{"data": [{"path": "/etc/passwd"}]}'.encode("utf-16"), b"[" * 50_000])
def test_what_cannot_be_read_goes_no_further(client: TestClient, body: bytes) -> None:
    assert client.post("/gradio_api/queue/join", content=body).status_code == 400


def test_an_event_without_end_is_refused_as_too_large(uploads: Path) -> None:
    app = Starlette()
    app.add_middleware(FileGuard, uploads=uploads)
    app.add_middleware(BodyLimit, limit_bytes=1000)
    answer = TestClient(app).post("/gradio_api/queue/join", content=iter([b" " * 600] * 3))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:lifelike:too-large")


def test_uploads_and_other_routes_are_left_alone(client: TestClient) -> None:
    for route in ("/gradio_api/upload", "/api/v1/jobs"):
        assert client.post(route, content=b"\x00rubbish").status_code == 200
    assert client.post("/gradio_api/reset", content=b"").status_code == 200
    assert client.get("/gradio_api/info").status_code == 200
