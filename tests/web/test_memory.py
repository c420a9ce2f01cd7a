"""The routes of model memory, over a real queue; the worker is a thread that keeps a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import make_services, started
from webui.core.memory import ATTENTION_REASONS, AttentionBackend, EntryMemory, MemorySnapshot
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.http_api.memory import model_name
from webui.web.ui import routes

SAGE = AttentionBackend(
    name="sage",
    usable=False,
    reason="needs cuda, this device is cpu",
    code="needs_device",
    values={"devices": "cuda", "device": "cpu"},
)


def entry(name: str, path: Path, **more: Any) -> EntryMemory:
    return EntryMemory(id=name, component="unet", path=str(path), dtype="float16", state="device", **more)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    models = tmp_path / "models"
    entries = (
        entry("a", models / "checkpoints" / "fox" / "unet", device_bytes=2_000, hits=3),
        entry("b", models / "checkpoints" / "owl.safetensors", device_bytes=3_000, holders=1),
        entry("c", Path("/elsewhere/private/name/crow.safetensors"), device_bytes=1_000),
    )
    memory = MemorySnapshot(device="Canvas", kind="cpu", total_bytes=8_000, free_bytes=2_000, entries=entries,
                            attention=(SAGE,))  # fmt: skip
    with started(create_app(make_services(tmp_path, memory), AccessPolicy(), page=False)) as client:
        yield client


def told(client: TestClient) -> dict[str, Any]:
    (worker,) = client.get("/api/v1/memory").json()["workers"]
    result: dict[str, Any] = worker
    return result


def test_what_is_where_and_who_holds_it(client: TestClient) -> None:
    worker = told(client)
    assert (worker["worker"], worker["device"], worker["attention"]) == ("easel", "Canvas", "native")
    assert (worker["total_bytes"], worker["free_bytes"], worker["budget_bytes"]) == (8_000, 2_000, None)
    assert worker["attention_backends"] == [SAGE.model_dump()]
    rows = {one["id"]: one for one in worker["entries"]}
    assert rows["a"]["model"] == "checkpoints/fox"
    assert (rows["a"]["component"], rows["a"]["device_bytes"], rows["a"]["hits"]) == ("unet", 2_000, 3)
    assert (rows["b"]["model"], rows["b"]["holders"]) == ("checkpoints/owl.safetensors", 1)


def test_no_path_of_the_machine_is_told(client: TestClient) -> None:
    assert "private" not in client.get("/api/v1/memory").text
    assert "memory" not in client.get("/api/v1/health").json()["workers"][0], "it would be told with every status"


def test_pin_then_unload_what_is_idle(client: TestClient) -> None:
    assert client.put("/api/v1/memory/pin", json={"entry": "a"}).status_code == 202
    assert {one["id"] for one in told(client)["entries"] if one["pinned"]} == {"a"}
    assert client.post("/api/v1/memory/unload", json={}).json() == {"workers": 1}
    assert {one["id"] for one in told(client)["entries"]} == {"a", "b"}, "pinned, and in use"
    client.put("/api/v1/memory/pin", json={"entry": "a", "pinned": False})
    client.post("/api/v1/memory/unload", json={"entry": "a"})
    assert {one["id"] for one in told(client)["entries"]} == {"b"}


def test_a_budget_is_set_and_lifted(client: TestClient) -> None:
    assert client.put("/api/v1/memory/budget", json={"budget_bytes": 4_000}).status_code == 202
    assert told(client)["budget_bytes"] == 4_000
    client.put("/api/v1/memory/budget", json={"budget_bytes": 0})
    assert told(client)["budget_bytes"] is None


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "pin", {"entry": "nobody"}, 404),
        ("POST", "unload", {"entry": "a", "worker": "nobody"}, 404),
        ("PUT", "budget", {"budget_bytes": 9_000}, 422),
        ("PUT", "budget", {"budget_bytes": -1}, 422),
        ("PUT", "pin", {"entry": "a", "pined": True}, 422),
    ],
)
def test_wrong_orders_are_refused(client: TestClient, method: str, path: str, body: Any, status: int) -> None:
    before = told(client)
    answer = client.request(method, f"/api/v1/memory/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert told(client) == before


def test_a_worker_that_told_nothing_is_left_out(tmp_path: Path) -> None:
    with started(create_app(make_services(tmp_path), AccessPolicy(), page=False)) as client:
        assert client.get("/api/v1/memory").json() == {"workers": []}


@pytest.mark.parametrize(
    ("path", "component", "name"),
    [
        ("/m/starter/avatar/unet", "unet", "starter/avatar"),
        ("/m/sd.safetensors", "vae", "sd.safetensors"),
        ("/far/away/there/sd.safetensors", "vae", "there/sd.safetensors"),
        ("/far/away/there/unet", "unet", "there"),
    ],
)
def test_a_model_is_named_as_people_know_it(path: str, component: str, name: str) -> None:
    one = EntryMemory(id="x", component=component, path=path, dtype="", state="device")
    assert model_name(one, [Path("/m")]) == name


def test_the_page_knows_every_reason_against_an_attention_backend() -> None:
    script = (routes.STATIC / "memory.js").read_text(encoding="utf-8")
    for code, text in ATTENTION_REASONS.items():
        assert f'{code}: t("{text}"' in script
