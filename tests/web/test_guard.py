"""What stands in front of every route: Host, Origin, size limits, security headers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import make_services, started
from webui.web.access import AccessPolicy
from webui.web.application import create_app


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all: nothing here changes anything in it but by adding jobs."""
    services = make_services(tmp_path_factory.mktemp("guard"), max_upload_bytes=200_000)
    with started(create_app(services, AccessPolicy(), page=False)) as client:
        yield client


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "localhost", "LOCALHOST:80", "[::1]:7860", "127.9.9.9", "studio.localhost:7860"]
)
def test_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "192.168.0.9",
        "",
        "localhost.evil.example",
        "[::1",
        "user@evil.example",
    ],
)
def test_another_name_for_this_machine_is_refused(client: TestClient, host: str) -> None:
    """A page at evil.example whose name now leads to 127.0.0.1 is of the same origin to the browser."""
    answer = client.get("/api/v1/health", headers={"Host": host})
    assert (answer.status_code, answer.json()["type"]) == (421, "urn:lifelike:unknown-host")


def test_a_trusted_name_is_answered(tmp_path: Path) -> None:
    app = create_app(make_services(tmp_path), AccessPolicy(trusted_hosts=("studio.example",)), page=False)
    client = TestClient(app, base_url="http://studio.example:8080")
    assert client.get("/api/v1/extensions").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/jobs"), ("DELETE", "/api/v1/jobs/0000000000000000"), ("POST", "/gradio_api/queue/join")],
)
def test_a_page_of_another_site_changes_nothing(
    client: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = client.request(method, path, headers=headers, content=b'{"pipeline": "wait"}')
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:lifelike:cross-site")
    assert client.get("/api/v1/jobs?pipeline=wait").json()["jobs"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind.a.proxy"},
        {"Origin": "http://127.0.0.1"},
    ],
)
def test_our_own_page_and_programs_are_let_in(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/v1/jobs", headers=headers, json={"pipeline": "paint"}).status_code == 202


def test_reading_is_not_a_matter_of_origin(client: TestClient) -> None:
    """The browser keeps the answer from a foreign page: nothing here allows other origins."""
    answer = client.get("/api/v1/jobs", headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/nothing", "/nothing"])
def test_each_answer_carries_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


def test_answers_of_the_interface_are_not_kept(client: TestClient) -> None:
    assert client.get("/api/v1/health").headers["cache-control"] == "no-store"


def test_a_body_of_unknown_length_is_measured_while_it_arrives(client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post("/api/v1/jobs", content=iter([b" " * 65_536] * 64), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize("length", ["999999999999", "-1", "1e3", "many"])
def test_a_body_that_says_it_is_too_large_is_not_read(client: TestClient, length: str) -> None:
    answer = client.post("/api/v1/jobs", content=b"{}", headers={"Content-Length": length})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:lifelike:too-large")


def test_long_answers_are_compressed(client: TestClient) -> None:
    answer = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["openapi"].startswith("3.")
