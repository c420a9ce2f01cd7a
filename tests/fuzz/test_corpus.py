"""No bad request is answered by an error of ours, a traceback, a path of this machine or a header of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.fuzz.corpus import Case, as_line, cases
from tests.web.conftest import make_services, wait_for
from webui.web.access import AccessPolicy
from webui.web.application import create_app

CASES = cases()
PASSWD = "root:x:0:0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz-data-folder")


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    services = make_services(folder, max_upload_bytes=400_000, max_image_pixels=1_000_000)
    app = create_app(services, AccessPolicy(), page=False)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        client.get("/")
        wait_for(lambda: client.get("/api/v1/health").json()["status"] == "ok")
        yield client


def wrong(client: TestClient, case: Case, folder: Path) -> list[str]:
    """What is wrong with the answer to ``case``."""
    answer = client.request(
        case.method, case.path, json=case.json, content=case.content, files=case.files or None,
        headers={name: value.encode("latin-1") for name, value in case.headers.items()},
        params=case.params or None, follow_redirects=False,
    )  # fmt: skip
    text = answer.text[:200_000]
    found = []
    if answer.status_code >= 500:
        found.append(f"status {answer.status_code}: {text[:300]}")
    if "Traceback (most recent" in text or 'File "/' in text:
        found.append("a traceback")
    if str(folder) in text:
        found.append("a path of this machine")
    if PASSWD in text:
        found.append("another file's content")
    if "x-evil" in answer.headers or "a=b" in answer.headers.get("set-cookie", ""):
        found.append("a header of the request's making")
    if "text/html" in answer.headers.get("content-type", "") and "<script>alert" in text:
        found.append("its own script")
    return found


def test_the_corpus_is_large_and_of_every_kind() -> None:
    counts = Counter(case.kind for case in CASES)
    assert len(CASES) >= 200
    assert set(counts) == {"path", "address", "words", "json", "raw", "picture", "name", "header", "archive"}


@pytest.mark.parametrize("kind", sorted({case.kind for case in CASES}))
def test_no_bad_request_breaks_anything(client: TestClient, folder: Path, kind: str) -> None:
    told = []
    for case in CASES:
        if case.kind == kind:
            found = wrong(client, case, folder)
            told += [
                f"{case.method} {case.path[:120]} {str(case.json)[:120]} {str(case.content)[:60]}: {found}"
            ] * bool(found)
    assert not told, "\n".join([as_line({"kind": kind, "broken": len(told)}), *told[:20]])


def test_it_serves_on_after_all_of_it(client: TestClient) -> None:
    assert client.get("/api/v1/health").json()["status"] == "ok"
