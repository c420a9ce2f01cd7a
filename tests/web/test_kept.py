"""What is the same for everyone is made once; everything else each time."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from webui.web import kept
from webui.web.kept import KeptAnswers


@pytest.fixture
def client() -> TestClient:
    made: list[str] = []

    async def answer(request: Request) -> Response:
        made.append(request.url.path)
        status = 404 if request.url.path.endswith("missing") else 200
        cookie = {"Set-Cookie": "a=b"} if request.url.path.endswith("cookie") else {}
        return Response(f"{len(made)} {request.headers['host']} " + "x" * 1000, status, cookie)

    app = Starlette(routes=[Route("/{path:path}", answer)])
    app.add_middleware(KeptAnswers)
    return TestClient(app)


def test_the_page_and_its_files_are_made_once_for_each_address(client: TestClient) -> None:
    for path in ("/", "/ui/static/a.js?v=1", "/assets/b.css", "/theme.css"):
        first = client.get(path)
        again = client.get(path)
        assert again.text == first.text
        assert again.headers == first.headers
        assert client.get(path, headers={"Host": "other.example"}).text != first.text
        assert client.get(path, headers={"Accept-Encoding": "identity"}).text != first.text
    assert client.get("/ui/static/a.js?v=1").text != client.get("/ui/static/a.js?v=2").text


@pytest.mark.parametrize(
    "path", ["/api/v1/jobs", "/?deep_link=x", "/assets/missing", "/assets/cookie", "/gradio_api/file=/assets/x"]
)
def test_what_may_differ_is_made_each_time(client: TestClient, path: str) -> None:
    assert client.get(path).text != client.get(path).text


def test_a_part_or_a_change_is_asked_of_the_application_itself(client: TestClient) -> None:
    whole = client.get("/assets/b.css").text
    assert client.get("/assets/b.css", headers={"Range": "bytes=0-3"}).text != whole
    assert client.get("/assets/b.css", headers={"If-None-Match": "x"}).text != whole
    assert client.post("/").status_code == 405


def test_it_holds_no_more_than_it_may(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_ALL_BYTES", 2500)
    first = client.get("/assets/1").text
    for name in ("2", "3", "4"):
        client.get(f"/assets/{name}")
    assert client.get("/assets/1").text != first
    monkeypatch.setattr(kept, "MAX_ONE_BYTES", 100)
    assert client.get("/assets/large").text != client.get("/assets/large").text
