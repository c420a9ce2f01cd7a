"""A real server in a process of its own, with the quick pipelines of ``extensions/sketch``, and Chromium before it.

One server for all but those with the starter, one browser a module, a context a test: Playwright leaves an event loop
running while it is open, in which no later test could start one. A test fails on any request to elsewhere and on any
error of the page.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
START_S = 120.0
WAIT_MS = 8_000
"""A busy machine takes its time; a page that works does not wait for this."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.browser)


def chromium() -> str:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        pytest.skip(os.environ.get("LIFELIKE_NO_CHROMIUM_REASON") or "no Chromium was found")
    return path


@dataclass
class Server:
    """The running application."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the tests' own requests: a token, where the server asks for a login."""

    def api(self, method: str, path: str, **more: Any) -> Any:
        """A parsed answer of the HTTP interface."""
        answer = httpx.request(method, f"{self.url}/api/v1{path}", timeout=60, headers=dict(self.headers), **more)
        answer.raise_for_status()
        return answer.json()

    def run(self, **params: Any) -> dict[str, Any]:
        """A finished job of sketch.draw."""
        return self.finished("sketch.draw", {"step_s": 0.0, **params})

    def finished(self, pipeline: str, params: dict[str, Any]) -> dict[str, Any]:
        """A job of any pipeline, done."""
        job = self.api("POST", "/jobs", json={"pipeline": pipeline, "params": params})
        limit = time.monotonic() + 240
        while job["state"] not in ("done", "failed", "cancelled") and time.monotonic() < limit:
            time.sleep(0.05)
            job = self.api("GET", f"/jobs/{job['id']}")
        assert job["state"] == "done", job
        return dict(job)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the test's own extension alone, and no model."""
    yield from serving(tmp_path_factory.mktemp("server"))


def serving(
    folder: Path, *, whole: bool = False, options: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A running server; ``whole``: with the built-in extensions and the starter too; ``options`` of ``serve``."""
    chromium()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = [str(ROOT / "extensions")] if whole else []
    own = folder / "models"
    own.mkdir(exist_ok=True)  # what is trained goes there
    models = os.pathsep.join([str(ROOT / "models")] * whole + [str(own)])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LIFELIKE_")},
        "LIFELIKE_EXTENSIONS_DIRS": os.pathsep.join([str(HERE / "extensions"), *more]),
        "LIFELIKE_MODELS_DIRS": models,
    }
    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--port", str(port)]
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, "--data-dir", str(folder / "data")], cwd=ROOT, env=environment, stdout=out, stderr=out
        )
    started = Server(f"http://127.0.0.1:{port}", process, log, headers or {})
    try:
        wait_until_it_runs(started)
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_it_runs(server: Server) -> None:
    """With a worker that is ready, so that no test waits for its start."""
    limit = time.monotonic() + START_S
    while time.monotonic() < limit:
        assert server.process.poll() is None, server.log.read_text()
        try:
            health = server.api("GET", "/health")
        except httpx.HTTPError:
            health = {"workers": []}
        if any(worker.get("device") for worker in health["workers"]):
            return
        time.sleep(0.2)
    raise AssertionError("the server did not start:\n" + server.log.read_text())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@dataclass
class Watch:
    """What a test's pages did that none may."""

    url: str
    wrong: list[str]

    def attach(self, context: BrowserContext) -> None:
        context.on("request", lambda request: self._requested(request.url))
        context.on("weberror", lambda error: self.wrong.append(f"page error: {error.error}"))
        context.on("console", lambda message: self._said(message.type, message.text))

    def _requested(self, url: str) -> None:
        if not url.startswith((self.url, "data:", "blob:", "about:")):
            self.wrong.append(f"request to elsewhere: {url}")

    def _said(self, kind: str, text: str) -> None:
        # A refused request (a 404, a stream that was cut) is logged by the browser; tests look at its effect.
        if kind == "error" and not text.startswith("Failed to load resource") and "net::" not in text:
            self.wrong.append(f"console: {text}")


@pytest.fixture
def open_page(server: Server, browser: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens the page in a new context: ``open_page(width=390, locale="zh-CN", ...)``."""
    contexts: list[BrowserContext] = []
    watch = Watch(server.url, [])

    def make(width: int = 1360, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, **{"locale": "en-US", "color_scheme": "light", **options}
        )
        context.set_default_timeout(WAIT_MS)
        watch.attach(context)
        contexts.append(context)
        page = context.new_page()
        page.goto(server.url)
        page.wait_for_selector("#viewer-sketch-draw .ll-empty, #viewer-sketch-draw [data-part]")
        page.wait_for_selector("#f-sketch-draw-seed .ll-input")
        return page

    yield make
    for context in contexts:
        context.close()
    assert watch.wrong == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()
