"""The routes of selections, tags, collections and exports."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import paint


@pytest.fixture
def ids(client: TestClient) -> list[str]:
    return [record["id"] for record in paint(client, prompt="a cat", count=3, seed=1)["artifacts"]]


def select(client: TestClient, ids: list[str], **change: Any) -> list[dict[str, Any]]:
    answer = client.post("/api/v1/selection", json={"ids": ids, **change})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["artifacts"])


def shown(client: TestClient, query: str, **more: Any) -> list[str]:
    return [one["id"] for one in client.get("/api/v1/artifacts", params={"query": query, **more}).json()["artifacts"]]


def test_one_is_rated_tagged_and_collected(client: TestClient, ids: list[str]) -> None:
    change = {"rating": 4, "tags": ["red", "Red", " two  words "], "collections": ["Best of"], "favourite": True}
    item = client.patch(f"/api/v1/artifacts/{ids[0]}", json=change).json()
    assert (item["rating"], item["tags"], item["collections"]) == (4, ["red", "two words"], ["Best of"])
    assert item["favourite"] is True
    item = client.patch(f"/api/v1/artifacts/{ids[0]}", json={"tags": ["blue"]}).json()
    assert (item["rating"], item["tags"], item["collections"]) == (4, ["blue"], ["Best of"])
    assert client.get(f"/api/v1/artifacts/{ids[0]}/metadata").json()["tags"] == ["blue"]
    assert client.get("/api/v1/tags").json() == {"names": [{"name": "blue", "count": 1, "newest": ids[0]}]}


def test_many_are_changed_at_once(client: TestClient, ids: list[str]) -> None:
    items = select(client, ids, rating=3, add_tags=["a", "b"], add_collections=["All"], favourite=True)
    assert [item["tags"] for item in items] == [["a", "b"]] * 3
    select(client, ids[:1], remove_tags=["A"], rating=0)
    assert shown(client, "tag:a") == [ids[2], ids[1]]
    assert shown(client, "rating:3 collection:all favourite:yes") == [ids[2], ids[1]]
    select(client, ids[1:], trashed=True)
    assert shown(client, "") == [ids[0]]
    assert shown(client, "", trashed=True) == [ids[2], ids[1]]
    select(client, ids[1:], trashed=False)
    assert len(shown(client, "")) == 3


def test_collections_are_renamed_and_let_go(client: TestClient, ids: list[str]) -> None:
    select(client, ids, add_collections=["One/two ?"])
    assert client.patch("/api/v1/collections/One%2Ftwo%20%3F", json={"name": "New"}).json() == {"changed": 3}
    assert [one["name"] for one in client.get("/api/v1/collections").json()["names"]] == ["New"]
    assert client.delete("/api/v1/collections/New").json() == {"changed": 3}
    assert client.delete("/api/v1/collections/New").status_code == 404
    assert client.get("/api/v1/collections").json() == {"names": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": []}, "ids"),
        ({"rating": 3}, "ids"),
        ({"ids": ["x-0"], "rating": 6}, "rating"),
        ({"ids": ["x-0"], "rating": "3"}, "rating"),
        ({"ids": ["x-0"], "colour": "red"}, "colour"),
        ({"ids": 5}, "ids"),
    ],
)
def test_wrong_selections_are_refused_by_name(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post("/api/v1/selection", json=body)
    assert answer.status_code == 422
    assert field in [one["name"] for one in answer.json()["errors"]]


def test_unknown_artifacts_and_names_are_refused(client: TestClient, ids: list[str]) -> None:
    assert client.post("/api/v1/selection", json={"ids": [ids[0], "x-0"], "rating": 1}).status_code == 404
    assert client.post("/api/v1/selection", json={"ids": ids, "add_tags": ["a,b"]}).status_code == 422
    assert client.patch(f"/api/v1/artifacts/{ids[0]}", json={"rating": 9}).status_code == 422
    assert client.get("/api/v1/export", params={"ids": "x-0"}).status_code == 404


def test_an_export_is_a_zip_of_the_files_and_what_was_said_of_them(client: TestClient, ids: list[str]) -> None:
    select(client, ids[:1], rating=5, add_tags=["红"])
    for params in ({"ids": ",".join(ids)}, {"query": "cat"}):
        answer = client.get("/api/v1/export", params=params)
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            names = [name for name in archive.namelist() if name != "marks.json"]
            assert len(names) == 3
            files = {client.get(f"/api/v1/artifacts/{one}").content for one in ids}
            assert {archive.read(name) for name in names} == files
            marks = json.loads(archive.read("marks.json"))
            assert list(marks.values()) == [{"rating": 5, "tags": ["红"]}]
            assert set(marks) < set(names)
