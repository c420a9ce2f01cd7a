"""Pipelines as tools: what an assistant is told of them. Calls are tested with the official client and a real server in
``tests/integration``.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.web.conftest import make_services, paint, wait_for
from tests.web.shared import BASE, share
from webui.core.jobs import ErrorInfo, Job, JobState
from webui.core.recipes import Recipe
from webui.core.specs import Artifact, PipelineSpec
from webui.web.access import AccessPolicy
from webui.web.application import create_app
from webui.web.mcp_server import content
from webui.web.mcp_server.tools import schema_of, tool_name, tool_of
from webui.web.services import Services


def test_it_is_off_unless_it_is_asked_for(client: TestClient) -> None:
    answer = client.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 404
    assert "--mcp" in answer.json()["hint"]


def test_a_tool_is_made_from_its_declaration(services: Services) -> None:
    spec: PipelineSpec = services.host.pipelines["easel.paint"]
    tool = tool_of(spec)
    assert (tool.name, tool.title) == ("easel_paint", "Paint")
    schema = tool.input_schema
    assert schema["type"] == "object"
    assert schema["properties"]["count"] == {
        "default": 1,
        "maximum": 8,
        "minimum": 1,
        "title": "Pictures",
        "type": "integer",
    }
    assert "artifact:<id>" in schema["properties"]["image"]["description"]
    assert "widget" not in str(schema)
    assert schema_of(spec) == schema


@pytest.mark.parametrize("pipeline", ["diffusion.txt2img", "a.b c", "x." + "y" * 100])
def test_names_are_made_of_letters_that_every_client_takes(pipeline: str) -> None:
    name = tool_name(pipeline)
    assert 0 < len(name) <= 64
    assert name.replace("_", "").replace("-", "").isalnum()


def test_an_answer_holds_pictures_links_and_json(client: TestClient, services: Services) -> None:
    made = paint(client, prompt="x", count=2, seed=3)
    job = services.jobs.get(made["id"])
    result = content.result_of(services, job, "http://host:1")
    kinds = [one.type for one in result.content]
    assert kinds == ["image", "image", "resource_link", "resource_link", "text"]
    assert not result.is_error
    said: dict[str, Any] = result.structured_content
    assert [row["seed"] for row in said["artifacts"]] == [3, 4]
    assert said["artifacts"][0]["url"] == f"http://host:1/api/v1/artifacts/{made['id']}-0"
    assert f"artifact:{made['id']}-1" in result.content[-1].text  # type: ignore[union-attr]


def test_large_pictures_are_sent_smaller(services: Services) -> None:
    job = Job(pipeline="easel.paint")
    noise = Image.effect_noise((1200, 900), 90).convert("RGB")
    files = services.library.files
    record = files.save(Artifact("image", noise), job, Recipe(pipeline=job.pipeline))
    services.library.add(record)
    assert record.size_bytes > content.MAX_BASE64_CHARS
    result = content.result_of(services, job.model_copy(update={"state": JobState.DONE, "artifacts": (record,)}), "")
    picture = result.content[0]
    assert picture.type == "image"
    assert picture.mime_type == "image/jpeg"
    assert len(picture.data) <= content.MAX_BASE64_CHARS
    with Image.open(io.BytesIO(base64.b64decode(picture.data))) as small:
        assert max(small.size) <= 1024


def test_failures_are_told(services: Services) -> None:
    error = ErrorInfo(kind="JobFailed", message="the canvas tore", hint="Take another.")
    failed = Job(pipeline="easel.fail", state=JobState.FAILED, error=error)
    result = content.result_of(services, failed, "")
    assert result.is_error
    assert result.content[0].text == "the canvas tore Take another."  # type: ignore[union-attr]
    assert content.result_of(
        services, failed.model_copy(update={"state": JobState.CANCELLED, "error": None}), ""
    ).is_error


def test_the_guards_stand_in_front(tmp_path: Path) -> None:
    app = create_app(make_services(tmp_path, mcp=True), AccessPolicy("correct horse battery"), page=False)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        assert client.post("/mcp", json=body).status_code == 401
        headers = {"Authorization": "Bearer correct horse battery", "Sec-Fetch-Site": "cross-site"}
        assert client.post("/mcp", json=body, headers=headers).status_code == 403


async def say(client: httpx.AsyncClient, token: str, method: str, params: Any, session: str = "") -> httpx.Response:
    """Of the protocol. Its number is the same each time: one call after the other."""
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {token}"}
    if session:
        headers["Mcp-Session-Id"] = session
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    if not method.startswith("notifications/"):
        body["id"] = 1
    return await client.post("/mcp", json=body, headers=headers)


def result(answer: httpx.Response) -> dict[str, Any]:
    """What an answer's stream holds."""
    assert '"result"' in answer.text, (answer.status_code, answer.text)
    line = next(line for line in answer.text.splitlines() if line.startswith("data: {") and '"result"' in line)
    found: dict[str, Any] = json.loads(line.removeprefix("data: "))["result"]
    return found


def test_a_guests_assistant_makes_what_is_the_guests(tmp_path: Path) -> None:
    """Also where it goes on in a session that somebody else began."""
    shared = share(make_services(tmp_path, mcp=True))
    accounts = shared.services.accounts
    owner, guest, reader = (
        accounts.add_token(name, [scope])[0]
        for name, scope in (("olga", "generate"), ("kim", "generate"), ("kim", "read"))
    )

    async def talk() -> None:
        transport = httpx.ASGITransport(shared.app)
        async with (
            shared.app.router.lifespan_context(shared.app),
            httpx.AsyncClient(transport=transport, base_url=BASE, timeout=30) as client,
        ):
            await asyncio.to_thread(wait_for, lambda: shared.app.state.start.status == "ok")
            assert (await say(client, reader, "ping", {})).status_code == 403
            hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
            session = (await say(client, owner, "initialize", hello)).headers["mcp-session-id"]
            await say(client, owner, "notifications/initialized", {}, session)
            listed = [result(await say(client, who, "tools/list", {}, session)) for who in (owner, guest)]
            tools, guests = ({one["name"] for one in said["tools"]} for said in listed)
            assert tools - guests == {"easel_train"}
            call = {"name": "easel_paint", "arguments": {"prompt": "x"}}
            made = [result(await say(client, who, "tools/call", call, session)) for who in (guest, owner)]
            ids = [one["structuredContent"]["job_id"] for one in made]
            assert [shared.services.jobs.get(one).owner for one in ids] == ["kim", "local"]
            train = {"name": "easel_train", "arguments": {}}
            refused = result(await say(client, guest, "tools/call", train, session))
            assert refused["isError"]
            assert "owner alone" in refused["content"][0]["text"]

    asyncio.run(talk())
