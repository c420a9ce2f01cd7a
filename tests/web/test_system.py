"""The routes that tell of the application, the OpenAPI document, and errors that no other file here is about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from tests.web.conftest import finished, make_services, wait_for
from webui.core import errors
from webui.core.errors import LifelikeError, SetupError
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.http_api.errors import STATUS
from webui.web.services import Services


def test_health(client: TestClient) -> None:
    said = client.get("/api/v1/health").json()
    assert said["status"] == "ok"
    assert said["uptime_s"] >= 0
    assert said["extensions"] == {"loaded": 1, "disabled": 0, "blocked": 0, "failed": 0}
    assert said["workers"][0]["pid"] == 4242
    finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    assert client.get("/api/v1/health").json()["queue"]["failed"] == 1


def test_pipelines_come_with_their_schemas(client: TestClient) -> None:
    listed = client.get("/api/v1/pipelines").json()["pipelines"]
    paint = next(one for one in listed if one["id"] == "easel.paint")
    assert (paint["name"], paint["extension"], paint["description"]) == ("paint", "easel", "Fills a canvas")
    count = paint["params_schema"]["properties"]["count"]
    assert (count["minimum"], count["maximum"], count["widget"]["kind"]) == (1, 8, "integer")
    assert client.get("/api/v1/pipelines/paint").json() == paint
    assert client.get("/api/v1/pipelines/sculpt").status_code == 404


def test_extensions_are_listed_with_their_state(client: TestClient) -> None:
    (one,) = client.get("/api/v1/extensions").json()["extensions"]
    assert (one["id"], one["state"], one["builtin"]) == ("easel", "loaded", False)
    assert "easel.paint" in one["pipelines"]


def test_models_are_listed(client: TestClient, services: Services) -> None:
    assert client.get("/api/v1/models").json() == {"models": []}
    folder = services.settings.models_dirs[0] / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "broken.safetensors").write_bytes(b"not a model")
    (one,) = client.get("/api/v1/models?refresh=true").json()["models"]
    assert one["ref"].endswith("broken.safetensors")
    assert one["problem"]
    assert str(folder) not in str(one), "no path of this machine"


def test_tokens_are_counted(client: TestClient) -> None:
    said = client.get("/api/v1/tokens", params={"text": "a red hill"}).json()
    assert (said["used"], said["chunks"], said["exact"]) == (3, 1, False)
    assert client.get("/api/v1/tokens", params={"text": "a", "model": "such"}).status_code == 404
    assert client.get("/api/v1/tokens").json()["errors"][0]["name"] == "text"


def test_an_extension_adds_routes_under_its_own_path_only(client: TestClient) -> None:
    assert client.get("/ext/easel/colours").json() == ["red", "green"]
    assert client.get("/api/v1/stolen").status_code == 404
    assert client.get("/ext/easel/brushes/round").json() == {"brush": "round"}
    assert client.get("/ext/easel/fine").status_code == client.get("/api/v1/robbed").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/jobs", 404),
        ("PUT", "/api/v1/jobs", 405),
        ("POST", "/api/v1/health", 405),
    ],
)
def test_what_is_not_there_is_a_problem_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if path == "/api/v1/jobs":
        assert answer.headers["allow"] == "GET, POST"


def test_every_kind_of_error_has_a_status() -> None:
    kinds = {one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, LifelikeError)}
    assert kinds - {LifelikeError} == set(STATUS)


def test_a_fault_of_the_server_tells_nothing_of_its_inside(services: Services) -> None:
    app = create_app(services, AccessPolicy(), page=False)

    def broken() -> None:
        raise RuntimeError("the password is swordfish")

    app.router.routes.clear()
    app.add_api_route("/broken", broken)
    answer = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False).get("/broken")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "swordfish" not in answer.text


def test_jobs_that_cannot_be_run_are_told_of(tmp_path: Path) -> None:
    first, second = make_services(tmp_path), make_services(tmp_path)
    first.jobs.store.own()
    app = create_app(second, AccessPolicy(), page=False)
    failures: list[Exception] = []
    app.state.start.on_failure = failures.append
    with TestClient(app, base_url="http://127.0.0.1") as client:
        client.get("/")
        wait_for(lambda: client.get("/api/v1/health").json()["status"] == "failed")
        assert client.get("/api/v1/health").json()["problem"] == str(failures[0])
    assert isinstance(failures[0], SetupError)
    first.jobs.store.close()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    app: FastAPI = create_app(make_services(tmp_path_factory.mktemp("openapi")), AccessPolicy(), page=False)
    document: dict[str, Any] = TestClient(app, base_url="http://127.0.0.1").get("/openapi.json").json()
    return document


class TestOpenApi:
    def test_each_pipeline_is_an_alternative_of_the_request(self, document: dict[str, Any]) -> None:
        schemas = document["components"]["schemas"]
        request = schemas["JobRequest"]
        assert request["discriminator"]["mapping"]["easel.paint"] == "#/components/schemas/job.easel.paint"
        assert {"$ref": "#/components/schemas/job.easel.wait"} in request["oneOf"]
        assert schemas["job.easel.paint"]["properties"]["params"] == {"$ref": "#/components/schemas/params.easel.paint"}
        assert schemas["params.easel.paint"]["properties"]["count"]["maximum"] == 8

    def test_every_reference_leads_somewhere(self, document: dict[str, Any]) -> None:
        def references(node: Any) -> set[str]:
            if isinstance(node, dict):
                own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
                return own.union(*(references(value) for value in node.values()))
            return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()

        for reference in references(document):
            place = document
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]
            assert place

    def test_every_operation_may_answer_with_a_problem(self, document: dict[str, Any]) -> None:
        operations = [one for path in document["paths"].values() for one in path.values()]
        assert len(operations) >= 20
        for operation in operations:
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            assert operation["summary"]

    def test_the_routes_are_those_that_are_promised(self, document: dict[str, Any]) -> None:
        promised = {
            "/pipelines": {"get"}, "/jobs": {"get", "post"}, "/jobs/{job_id}": {"get", "delete"},
            "/jobs/{job_id}/events": {"get"}, "/jobs/{job_id}/retry": {"post"},
            "/jobs/{job_id}/resume": {"post"}, "/events": {"get"},
            "/uploads": {"post"},
            "/artifacts": {"get"}, "/artifacts/{artifact_id}": {"get", "patch", "delete"},
            "/prompt": {"post"},
            "/artifacts/{artifact_id}/metadata": {"get"}, "/artifacts/{artifact_id}/restore": {"post"},
            "/metadata": {"post"}, "/models": {"get"}, "/tokens": {"get"}, "/extensions": {"get"},
            "/extensions/{extension}": {"patch"}, "/health": {"get"},
        }  # fmt: skip
        for path, methods in promised.items():
            assert set(document["paths"][f"/api/v1{path}"]) == methods

    def test_answers_have_the_documented_fields(self, document: dict[str, Any]) -> None:
        names = TypeAdapter(dict[str, Any]).validate_python(document["components"]["schemas"]["JobView"]["properties"])
        assert {"id", "state", "params", "progress", "artifacts", "url", "events_url", "error"} <= set(names)
