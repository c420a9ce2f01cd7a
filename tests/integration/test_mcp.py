"""The official MCP client against a real server with the starter model."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from mcp.client.client import Client
from PIL import Image

from tests.integration.server import ROOT, Server, running
from webui.library import metadata

ENVIRONMENT = {"LIFELIKE_MCP": "1", "LIFELIKE_EXTENSIONS_DIRS": str(ROOT / "extensions"), "OMP_NUM_THREADS": "1"}
QUICK = {"prompt": "a smiling person with red hair", "width": 64, "height": 64, "steps": 3, "seed": 5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("mcp"), environment=ENVIRONMENT) as server:
        yield server


def connected(server: Server, mode: str, work: Any) -> Any:
    """What ``work(client)`` answers, with a client in ``mode``: ``auto`` or ``legacy``, the older handshake."""

    async def run() -> Any:
        async with Client(str(server.client.base_url.join("/mcp")), mode=mode) as client:
            return await work(client)

    return anyio.run(run)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_tool_is_listed_called_and_reports_progress(server: Server, mode: str) -> None:
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        told.append((done, total, message))

    async def work(client: Client) -> tuple[Any, Any]:
        tools = await client.list_tools()
        return tools, await client.call_tool(
            "diffusion_txt2img", {**QUICK, "batch_size": 2}, progress_callback=progress
        )

    tools, result = connected(server, mode, work)
    txt2img = next(tool for tool in tools.tools if tool.name == "diffusion_txt2img")
    assert txt2img.input_schema["properties"]["steps"]["title"] == "Steps"
    assert not result.is_error
    pictures = [one for one in result.content if one.type == "image"]
    links = [one for one in result.content if one.type == "resource_link"]
    assert (len(pictures), len(links)) == (2, 2)
    data = base64.b64decode(pictures[1].data)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (64, 64)
    recipe = metadata.read(data).recipe
    assert recipe is not None
    assert recipe.seed == 6
    assert server.client.get(str(links[1].uri)).content == data
    assert result.structured_content["params"]["seed"] == 5
    assert told
    assert told == sorted(told, key=lambda one: one[0])
    assert all(0 <= done <= 1 and total == 1 for done, total, _ in told)


def test_what_one_tool_made_goes_into_another(server: Server) -> None:
    async def work(client: Client) -> Any:
        first = await client.call_tool("diffusion_txt2img", QUICK)
        made = first.structured_content["artifacts"][0]["id"]
        return await client.call_tool("diffusion_img2img", {**QUICK, "image": f"artifact:{made}", "strength": 0.5})

    result = connected(server, "auto", work)
    assert not result.is_error, result.content
    assert result.structured_content["params"]["strength"] == 0.5


def test_the_gallery_is_searched_and_fetched_from(server: Server) -> None:
    async def work(client: Client) -> Any:
        tools = await client.list_tools()
        made = await client.call_tool("diffusion_txt2img", {**QUICK, "prompt": "a person with a zebra hat", "seed": 31})
        first = made.structured_content["artifacts"][0]["id"]
        found = await client.call_tool("gallery-search", {"query": "zebra seed:31"})
        nothing = await client.call_tool("gallery-search", {"query": "zebra seed:32"})
        paged = await client.call_tool("gallery-search", {"limit": 1})
        got = await client.call_tool("gallery-get", {"id": f"artifact:{first}"})
        missing = await client.call_tool("gallery-get", {"id": "01zzzzzzzzzzzzzz-0"})
        wrong = await client.call_tool("gallery-search", {"limit": 0, "colour": "red"})
        return tools.tools, first, found, nothing, paged, got, missing, wrong

    tools, first, found, nothing, paged, got, missing, wrong = connected(server, "auto", work)
    reads = {tool.name: tool.annotations.read_only_hint for tool in tools if "-" in tool.name}
    assert reads == {
        "gallery-search": True,
        "gallery-get": True,
        "jobs-list": True,
        "jobs-get": True,
        "jobs-cancel": False,
    }
    (row,) = found.structured_content["artifacts"]
    assert (row["id"], row["seed"], row["prompt"]) == (first, 31, "a person with a zebra hat")
    assert nothing.structured_content == {"artifacts": [], "next": None}
    assert paged.structured_content["artifacts"][0]["id"] == first
    picture, link, _ = got.content
    data = base64.b64decode(picture.data)
    assert metadata.read(data).recipe.seed == 31
    assert server.client.get(str(link.uri)).content == data
    assert got.structured_content["pipeline"] == "diffusion.txt2img"
    assert got.structured_content["params"]["steps"] == QUICK["steps"]
    assert missing.is_error
    assert wrong.is_error
    assert "limit" in wrong.content[0].text
    assert "colour" in wrong.content[0].text


def test_jobs_are_listed_looked_at_and_cancelled(server: Server) -> None:
    endless = {"pipeline": "diffusion.txt2img", "params": {**QUICK, "steps": 199, "batch_count": 50}}
    running_, waiting = (server.client.post("/api/v1/jobs", json=endless).json()["id"] for _ in range(2))

    async def work(client: Client) -> Any:
        queued = await client.call_tool("jobs-list", {"state": "queued", "pipeline": "txt2img"})
        first = await client.call_tool("jobs-cancel", {"id": waiting})
        await client.call_tool("jobs-cancel", {"id": running_})
        await anyio.to_thread.run_sync(lambda: server.wait_for(running_, "cancelled"))
        last = await client.call_tool("jobs-get", {"id": running_})
        unknown = await client.call_tool("jobs-get", {"id": "nothing"})
        newest = await client.call_tool("jobs-list", {"limit": 1})
        return queued, first, last, unknown, newest

    queued, first, last, unknown, newest = connected(server, "auto", work)
    assert waiting in [row["id"] for row in queued.structured_content["jobs"]]
    assert first.structured_content["state"] == "cancelled"
    assert last.structured_content["state"] == "cancelled"
    assert last.structured_content["params"]["steps"] == 199
    assert "cancelled" in last.content[-1].text
    assert unknown.is_error
    assert [row["id"] for row in newest.structured_content["jobs"]] == [waiting]
    assert newest.structured_content["next"] == waiting


def test_mistakes_are_told_to_the_assistant(server: Server) -> None:
    async def work(client: Client) -> Any:
        return await client.call_tool("diffusion_txt2img", {"prompt": "x", "steps": 9000, "colour": "red"})

    result = connected(server, "auto", work)
    assert result.is_error
    assert "steps" in result.content[0].text
    assert "colour" in result.content[0].text


def test_a_call_that_is_given_up_cancels_its_job(server: Server) -> None:
    endless = {**QUICK, "steps": 200, "batch_count": 50}

    async def work(client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "diffusion_txt2img", endless)
            await anyio.to_thread.run_sync(until, server, "running")
            tasks.cancel_scope.cancel()

    connected(server, "auto", work)
    until(server, "cancelled")


def until(server: Server, state: str) -> None:
    """Wait for the newest job to be the long one, in ``state``."""
    deadline = time.monotonic() + 60
    newest: dict[str, Any] = {}
    while time.monotonic() < deadline:
        for newest in server.client.get("/api/v1/jobs?limit=1").json()["jobs"]:
            if (newest["params"].get("steps"), newest["state"]) == (200, state):
                return
        time.sleep(0.1)
    raise AssertionError(f"the job is {newest.get('state')}, not {state}")
