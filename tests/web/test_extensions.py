"""The routes of the Extensions tab: what hooks took and how they failed, whose fault a job was, and wishes."""

from __future__ import annotations

import json

from starlette.testclient import TestClient

from tests.web.conftest import finished
from webui.core.settings import read_stored
from webui.web.services import Services


def shown(client: TestClient) -> dict[str, object]:
    (one,) = client.get("/api/v1/extensions").json()["extensions"]
    return dict(one)


def test_hooks_tell_their_time_and_their_last_error(client: TestClient, services: Services) -> None:
    book = services.host.book
    book.add("easel", "process_image", 0.25)
    book.add("easel", "process_image", 0.5, ValueError("no paint"))
    book.suspend("easel", "process_image")
    rows = {row["hook"]: row for row in shown(client)["hooks"]}  # type: ignore[attr-defined]
    assert rows["register_pipelines"]["calls"] == 1
    assert rows["register_pipelines"]["seconds"] > 0
    row = rows["process_image"]
    assert (row["calls"], row["seconds"], row["failures"], row["suspended"]) == (2, 0.75, 1, True)
    assert row["last_error"] == "ValueError: no paint"


def test_a_failed_job_is_told_with_the_extension_at_fault(client: TestClient) -> None:
    job = finished(client, client.post("/api/v1/jobs", json={"pipeline": "fail"}).json()["id"])
    faults = shown(client)["faults"]
    expected = [job["id"]] if job["error"]["extension"] else []
    assert [fault["job_id"] for fault in faults] == expected  # type: ignore[attr-defined]


def test_a_wish_stands_in_the_settings_and_changes_nothing_now(client: TestClient, services: Services) -> None:
    answer = client.patch("/api/v1/extensions/easel", json={"enabled": False})
    assert answer.status_code == 200
    assert (answer.json()["enabled"], answer.json()["state"]) == (False, "loaded")
    assert read_stored(services.settings.settings_path)["disabled_extensions"] == ["easel"]
    assert shown(client)["enabled"] is False
    client.patch("/api/v1/extensions/easel", json={"enabled": True})
    assert json.loads(services.settings.settings_path.read_text())["disabled_extensions"] == []
    assert client.patch("/api/v1/extensions/nobody", json={"enabled": True}).status_code == 404
    assert client.patch("/api/v1/extensions/easel", json={}).status_code == 422
