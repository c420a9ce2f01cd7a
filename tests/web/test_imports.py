"""The routes that take in pictures of others."""

from __future__ import annotations

from pathlib import Path

from starlette.testclient import TestClient

from tests.library.test_imports import INFOTEXT, MOMENT, picture
from tests.web.conftest import make_services, wait_for
from webui.web.access import AccessPolicy
from webui.web.application import create_app


def test_a_picture_is_sent(client: TestClient, tmp_path: Path) -> None:
    data = picture(tmp_path / "a.png", parameters=INFOTEXT).read_bytes()
    answer = client.post(f"/api/v1/imports/files?modified={MOMENT}", files={"file": ("a.png", data)}).json()
    assert answer["outcome"] == "added"
    item = answer["artifact"]
    assert (item["prompt"], item["seed"], item["created_at"]) == ("a dog in a hat", 77, MOMENT)
    said = client.get(f"/api/v1/artifacts/{item['id']}/metadata").json()
    assert (said["program"], said["recipe"], said["params"]["steps"]) == ("A1111", None, 20)
    assert client.get(item["url"]).content == data
    again = client.post("/api/v1/imports/files", files={"file": ("b.png", data)}).json()
    assert (again["outcome"], again["artifact"]["id"]) == ("known", item["id"])
    none = client.post("/api/v1/imports/files", files={"file": ("../../c.png", b"nothing at all")}).json()
    assert none == {"outcome": "skipped", "artifact": None}


def test_a_folder_of_this_machine_is_imported_in_the_background(client: TestClient, tmp_path: Path) -> None:
    for number, colour in enumerate(("red", "blue", "green")):
        picture(tmp_path / "peer" / f"{number}.png", colour, parameters=INFOTEXT)
    assert client.get("/api/v1/imports").json()["may_name_folders"] is True
    answer = client.post("/api/v1/imports", json={"folder": str(tmp_path / "peer"), "collection": "Before"})
    assert answer.status_code == 202
    wait_for(lambda: client.get("/api/v1/imports").json()["state"] == "done")
    state = client.get("/api/v1/imports").json()
    assert (state["added"], state["known"], state["skipped"]) == (3, 0, 0)
    assert client.get("/api/v1/collections").json()["names"][0]["count"] == 3
    assert client.post("/api/v1/imports", json={"folder": str(tmp_path / "nowhere")}).status_code == 202
    wait_for(lambda: client.get("/api/v1/imports").json()["state"] == "failed")
    assert "nowhere" in client.get("/api/v1/imports").json()["problem"]
    assert client.delete("/api/v1/imports").status_code == 200
    assert client.post("/api/v1/imports", json={"folder": ""}).status_code == 422


def test_where_a_token_is_asked_for_no_folder_may_be_named(tmp_path: Path) -> None:
    token = "correct horse battery"
    app = create_app(make_services(tmp_path), AccessPolicy(token), page=False)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(app, base_url="http://127.0.0.1", headers=headers) as client:
        assert client.get("/api/v1/imports").json()["may_name_folders"] is False
        answer = client.post("/api/v1/imports", json={"folder": str(tmp_path)})
        assert answer.status_code == 403
        assert "library import" in answer.json()["hint"]
