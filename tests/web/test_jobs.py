"""The routes of jobs: from the request to the stored job and back."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import finished, paint, png, wait_for
from webui.web.services import Services


def test_a_job_is_accepted_with_its_place_and_frozen_parameters(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", json={"pipeline": "easel.paint", "params": {"prompt": "a hill"}})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}" == job["url"]
    assert job["pipeline"] == "easel.paint"
    assert job["params"]["prompt"] == "a hill"
    assert 0 <= job["params"]["seed"] < 2**32, "a seed of -1 is drawn when the job is accepted"


def test_a_finished_job_tells_where_its_pictures_are(client: TestClient) -> None:
    job = paint(client, count=2, seed=5)
    assert [one["seed"] for one in job["artifacts"]] == [5, 6]
    picture = client.get(job["artifacts"][1]["url"])
    assert picture.headers["content-type"] == "image/png"
    assert len(picture.content) == job["artifacts"][1]["size_bytes"]


def test_a_failed_job_says_why(client: TestClient) -> None:
    job = finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    assert (job["state"], job["error"]["message"], job["error"]["hint"]) == (
        "failed",
        "the canvas tore",
        "Take another.",
    )


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "is not JSON"),
        (b"[]", 400, "expected an object"),
        (b"[" * 100_000, 400, "is not JSON"),
        (b'{"pipeline": "paint", "params": {"prompt": "\\ud800"}}', 400, "is not JSON"),
        (b'{"params": {}}', 400, "pipeline"),
        (b'{"pipeline": "paint", "params": []}', 400, "params"),
        (b'{"pipeline": "paint", "prompt": "a hill"}', 400, "prompt"),
        (b'{"pipeline": "sculpt"}', 404, "'sculpt'"),
    ],
)  # fmt: skip
def test_a_broken_request_is_refused(client: TestClient, body: bytes, status: int, says: str) -> None:
    answer = client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"] + answer.json().get("hint", "")
    assert answer.json()["status"] == status


@pytest.mark.parametrize(
    ("params", "name", "says"),
    [
        ({"count": 9}, "count", "expected at most 8"),
        ({"count": "many"}, "count", "expected a whole number"),
        ({"coulour": "#ffffff"}, "coulour", "did you mean 'colour'"),
        ({"colour": "red"}, "colour", "a colour such as"),
        ({"image": "/etc/passwd"}, "image", ""),
        ({"image": "upload:../../etc/passwd"}, "image", "no reference"),
        ({"image": "data:image/png;base64,AAAAAAAAAAAAAAAAAAAAAAAA"}, "image", ""),
    ],
)
def test_wrong_parameters_are_named(client: TestClient, params: dict[str, Any], name: str, says: str) -> None:
    answer = client.post("/api/v1/jobs", json={"pipeline": "paint", "params": params})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:lifelike:parameter-error"
    assert [one["name"] for one in problem["errors"]] == [name]
    assert says in problem["errors"][0]["message"]
    assert set(problem["errors"][0]) == {"name", "message", "got"}


def test_every_wrong_parameter_is_named_at_once(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", json={"pipeline": "paint", "params": {"count": 0, "seed": -2}})
    assert {one["name"] for one in answer.json()["errors"]} == {"count", "seed"}


def test_another_media_type_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", content=b"pipeline=paint", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")


def test_files_come_in_a_multipart_body(client: TestClient) -> None:
    job = {"pipeline": "paint", "params": {"prompt": "from a picture"}}
    files = [
        ("image", ("a.png", png(), "image/png")),
        ("pictures", ("b.png", png(8, 8), "image/png")),
        ("pictures", ("c.png", png(9, 9), "image/png")),
    ]
    answer = client.post("/api/v1/jobs", data={"job": json.dumps(job)}, files=files)
    assert answer.status_code == 202, answer.text
    params = answer.json()["params"]
    assert params["image"].startswith("upload:")
    assert len(set(params["pictures"])) == 2
    assert params["prompt"] == "from a picture"


def test_the_job_part_may_itself_be_a_file(client: TestClient) -> None:
    part = ("job.json", b'{"pipeline": "paint", "params": {"count": 2}}', "application/json")
    answer = client.post("/api/v1/jobs", files={"job": part})
    assert answer.status_code == 202, answer.text
    assert answer.json()["params"]["count"] == 2


def test_a_picture_may_be_a_data_url_or_an_artifact(client: TestClient) -> None:
    url = "data:image/png;base64," + base64.b64encode(png()).decode()
    job = paint(client, image=url)
    assert job["params"]["image"].startswith("upload:")


@pytest.mark.parametrize(
    ("name", "count", "status", "says"),
    [
        ("prompt", 1, 422, "does not take a file"),
        ("sketch", 1, 422, "no such parameter"),
        ("image", 2, 422, "takes one file"),
    ],
)
def test_files_must_fit_their_parameters(client: TestClient, name: str, count: int, status: int, says: str) -> None:
    files = [(name, ("a.png", png(), "image/png"))] * count
    answer = client.post("/api/v1/jobs", data={"job": '{"pipeline": "paint"}'}, files=files)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["name"] == name
    assert says in answer.json()["errors"][0]["message"]


def test_a_file_that_is_no_picture_is_refused_for_a_picture_parameter(client: TestClient) -> None:
    files = {"image": ("a.png", b"not a picture at all", "image/png")}
    answer = client.post("/api/v1/jobs", data={"job": '{"pipeline": "paint"}'}, files=files)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["name"] == "image"


def test_a_multipart_body_needs_its_job_part(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", files={"image": ("a.png", png(), "image/png")})
    assert answer.status_code == 400
    assert "'job'" in answer.json()["detail"]


def test_a_field_that_is_no_file_belongs_into_the_job_part(client: TestClient) -> None:
    answer = client.post("/api/v1/jobs", data={"job": '{"pipeline": "paint"}', "prompt": "x"}, files={"image": png()})
    assert answer.status_code == 400
    assert "'prompt'" in answer.json()["detail"]


def test_a_broken_multipart_body_is_refused(client: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/api/v1/jobs", content=b"--b\r\nrubbish", headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_jobs_are_listed_newest_first_in_pages(client: TestClient) -> None:
    ids = [paint(client, prompt=str(number))["id"] for number in range(3)]
    first = client.get("/api/v1/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in first["jobs"]] == ids[:0:-1]
    second = client.get("/api/v1/jobs", params={"limit": 2, "before": first["next"]}).json()
    assert [job["id"] for job in second["jobs"]] == ids[:1]
    assert second["next"] is None


def test_jobs_are_listed_by_state_and_pipeline(client: TestClient) -> None:
    failed = finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    painted = [paint(client)["id"] for _ in range(3)]
    assert [job["id"] for job in client.get("/api/v1/jobs?state=failed").json()["jobs"]] == [failed["id"]]
    page = client.get("/api/v1/jobs?pipeline=paint&limit=2").json()
    assert [job["id"] for job in page["jobs"]] == painted[:0:-1]
    last = client.get("/api/v1/jobs", params={"pipeline": "paint", "limit": 2, "before": page["next"]}).json()
    assert [job["id"] for job in last["jobs"]] == painted[:1]
    assert last["next"] is None


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=many"])
def test_a_wrong_query_value_is_named(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/v1/jobs?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["name"] == query.partition("=")[0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_job_is_not_found(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/v1/jobs/0000000000000000")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:lifelike:not-found")


def test_a_running_job_is_cancelled(client: TestClient) -> None:
    job_id = client.post("/api/v1/jobs", json={"pipeline": "wait"}).json()["id"]
    wait_for(lambda: client.get(f"/api/v1/jobs/{job_id}").json()["state"] == "running")
    assert client.delete(f"/api/v1/jobs/{job_id}").status_code in (200, 202)
    assert finished(client, job_id)["state"] == "cancelled"
    again = client.delete(f"/api/v1/jobs/{job_id}")
    assert (again.status_code, again.json()["state"]) == (200, "cancelled")


def test_a_waiting_job_is_cancelled_at_once(client: TestClient) -> None:
    running, waiting = (client.post("/api/v1/jobs", json={"pipeline": "wait"}).json()["id"] for _ in range(2))
    assert client.delete(f"/api/v1/jobs/{waiting}").json()["state"] == "cancelled"
    client.delete(f"/api/v1/jobs/{running}")


def test_a_failed_job_can_be_retried_and_a_done_one_not(client: TestClient) -> None:
    failed = finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    assert client.post(f"{failed['url']}/retry").status_code == 202
    done = paint(client)
    answer = client.post(f"{done['url']}/retry")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:lifelike:conflict")
    assert client.post(f"{done['url']}/resume").status_code == 409


def test_a_job_is_resumed_where_it_left_something(client: TestClient, services: Services) -> None:
    nothing = finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    answer = client.post(f"{nothing['url']}/resume")
    assert (answer.status_code, answer.json()["detail"]) == (409, "This job left nothing to go on from.")
    folder = services.settings.data_dir / "work" / nothing["id"]
    folder.mkdir(parents=True)
    (folder / "ended.json").write_text(json.dumps({"pipeline": "easel.fail", "params": {}}))
    assert client.post(f"{nothing['url']}/resume").status_code == 202
