"""Server-sent events over a real server on a free port: what a watcher hears, and when the connection ends."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.web.conftest import wait_for
from webui.web.http_api import streams
from webui.web.server import _Server, listen

Event = tuple[str, Any, str]
"""Name, data, id."""


@pytest.fixture
def server(app: FastAPI) -> Iterator[_Server]:
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        ready = threading.Event()
        config = uvicorn.Config(app, log_level="warning", ws="none", timeout_graceful_shutdown=10)
        server = _Server(config, app.state.streams, ready.set)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        assert ready.wait(10)
        server.address = f"http://127.0.0.1:{listening.getsockname()[1]}"  # type: ignore[attr-defined]
        yield server
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


@pytest.fixture
def web(server: _Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=10) as client:  # type: ignore[attr-defined]
        client.get("/")
        wait_for(lambda: client.get("/api/v1/health").json()["status"] == "ok")
        yield client


def events(answer: httpx.Response) -> Iterator[Event]:
    """The events of a stream; comments come as events named ":"."""
    name, data, event_id = "", "", ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        match field:
            case "event":
                name = value
            case "data":
                data = value
            case "id":
                event_id = value
            case "":
                if line.startswith(":"):
                    yield ":", line, ""
                elif name:
                    yield name, json.loads(data), event_id
                    name, data, event_id = "", "", ""


def submit(web: httpx.Client, pipeline: str, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = web.post("/api/v1/jobs", json={"pipeline": pipeline, "params": params}).json()
    return answer


def test_a_job_is_told_from_its_snapshot_to_its_end(web: httpx.Client) -> None:
    job = submit(web, "paint", count=2)
    with web.stream("GET", job["events_url"]) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert "content-encoding" not in answer.headers, "compressed events arrive in lumps"
        told = list(events(answer))
    names = [name for name, _, _ in told]
    assert names[0] == "snapshot"
    assert names[-1] in ("done", "snapshot")
    shown = {}
    for name, data, _ in told:
        if name == "snapshot":
            shown.update({one["index"]: one for one in data["artifacts"]})
        elif name == "artifact":
            shown[data["artifact"]["index"]] = data["artifact"]
    assert sorted(shown) == [0, 1]
    assert web.get(shown[1]["url"]).status_code == 200, "told of only when it is there"
    assert [event_id for _, _, event_id in told if event_id] == [streams.ENDED]


def test_who_comes_late_gets_the_snapshot_alone(web: httpx.Client) -> None:
    job = submit(web, "paint")
    wait_for(lambda: web.get(job["url"]).json()["state"] == "done")
    with web.stream("GET", job["events_url"]) as answer:
        told = list(events(answer))
    assert [name for name, _, _ in told] == ["snapshot"]
    assert told[0][1]["state"] == "done"


def test_an_event_source_that_comes_back_after_the_end_is_told_to_stay_away(web: httpx.Client) -> None:
    job = submit(web, "paint")
    wait_for(lambda: web.get(job["url"]).json()["state"] == "done")
    assert web.get(job["events_url"], headers={"Last-Event-ID": streams.ENDED}).status_code == 204
    assert web.get(job["events_url"], headers={"Last-Event-ID": "something else"}).status_code == 200


def test_events_of_an_unknown_job_are_a_problem_not_a_stream(web: httpx.Client) -> None:
    answer = web.get("/api/v1/jobs/0000000000000000/events")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_cancel_ends_the_stream(web: httpx.Client) -> None:
    job = submit(web, "wait")
    with web.stream("GET", job["events_url"]) as answer:
        told = []
        for event in events(answer):
            told.append(event)
            if event[0] == "progress" or (event[0] == "snapshot" and event[1]["progress"]["step"]):
                web.delete(job["url"])
    assert told[-1][0] == "cancelled" or told[-1][1]["state"] == "cancelled"


def test_a_silent_stream_has_a_heartbeat(web: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    job = submit(web, "wait")
    with web.stream("GET", job["events_url"]) as answer:
        assert any(name == ":" for name, _, _ in events(answer))
    web.delete(job["url"])


def test_the_stream_of_everything_begins_with_the_state_and_tells_of_changes(web: httpx.Client) -> None:
    with web.stream("GET", "/api/v1/events") as answer:
        told = events(answer)
        name, status, _ = next(told)
        assert name == "status"
        assert status["queue"] == {"queued": 0, "running": 0, "done": 0, "failed": 0, "cancelled": 0}
        assert status["workers"][0]["device"]["name"] == "Canvas"
        job = submit(web, "paint")
        seen = []
        for name, data, _ in told:
            seen.append(name)
            assert name != "preview", "pictures in the making are for those who watch that job"
            if name == "status" and data["queue"]["done"] == 1:
                break
    assert "done" in seen
    assert web.get(job["url"]).json()["state"] == "done"


def test_the_pictures_of_one_job_can_be_watched_in_the_stream_of_everything(web: httpx.Client) -> None:
    """A browser opens few connections to one server; a page needs but one."""
    watched, other = submit(web, "wait"), submit(web, "paint")
    with web.stream("GET", "/api/v1/events", params={"previews": watched["id"]}) as answer:
        previews = set()
        for name, data, _ in events(answer):
            if name == "preview":
                previews.add(data["job_id"])
                assert data["media_type"] == "image/jpeg"
                web.delete(watched["url"])
            if name == "done" and data["job_id"] == other["id"]:
                break
    assert previews == {watched["id"]}


def test_a_stopping_server_ends_its_streams(server: _Server, web: httpx.Client) -> None:
    job = submit(web, "wait")
    with web.stream("GET", job["events_url"]) as one, web.stream("GET", "/api/v1/events") as all_:
        streams_ = (events(one), events(all_))
        for told in streams_:
            next(told)
        began = time.monotonic()
        server.should_exit = True
        for told in streams_:
            list(told)
        assert time.monotonic() - began < 5, "they end at once, not by the limit for open connections"


def test_a_watcher_that_leaves_is_forgotten(server: _Server, web: httpx.Client, app: FastAPI) -> None:
    job = submit(web, "wait")
    with web.stream("GET", job["events_url"]) as answer:
        told = events(answer)
        next(told)
        assert len(app.state.streams) == 1
    wait_for(lambda: len(app.state.streams) == 0)
    web.delete(job["url"])


def test_an_endless_body_is_answered_before_it_ends(web: httpx.Client) -> None:
    head = b"POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection((web.base_url.host, web.base_url.port or 0)) as connection:
        connection.sendall(head)
        for _ in range(1000):
            connection.sendall(chunk)
            if select.select([connection], [], [], 0.01)[0]:
                break
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")
