"""Models by hub id, from a server on this machine that speaks the hub's protocol: progress, cut connections, revisions,
tokens, and what is told where there is no way to it.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from webui.testing import Outcome, Studio, make_studio, run_pipeline

UNET = "/unet/diffusion_pytorch_model.safetensors"
COMMITS = {"main": "a" * 40, "v1": "b" * 40}
Draw = Callable[..., Outcome]


class Hub(ThreadingHTTPServer):
    """A hub with one repository, ``someone/tiny``: the files of ``folder`` at each of ``COMMITS``."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.cut = ""
        """A file whose first answer ends half way."""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"
    routes: ClassVar[dict[str, str]] = {}

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {name.title(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, path, headers))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[2:4] == ["someone", "tiny"]:
            self._tell("/".join(parts[5:]) or "main", tree=parts[4:5] == ["tree"])
        elif parts[:3] == ["someone", "tiny", "resolve"] and "/".join(parts[4:]) in self.server.files:
            self._send("/".join(parts[4:]), parts[3])
        else:
            self._answer(404, b"", {"X-Error-Code": "RepoNotFound"})

    def _tell(self, revision: str, *, tree: bool) -> None:
        commit = COMMITS.get(revision, revision)
        if commit not in COMMITS.values():
            self._answer(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return
        body: Any = {
            "id": "someone/tiny",
            "sha": commit,
            "siblings": [{"rfilename": name} for name in self.server.files],
        }
        if tree:
            rows = self.server.files.items()
            body = [{"type": "file", "path": name, "size": len(data), "oid": _oid(data)} for name, data in rows]
        self._answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, name: str, revision: str) -> None:
        data = self.server.files[name]
        about = {"X-Repo-Commit": COMMITS.get(revision, revision), "ETag": f'"{_oid(data)}"', "Accept-Ranges": "bytes"}
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if begin:
            about["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        if self.command == "GET" and self.server.cut == name:
            self.server.cut = ""
            self.send_response(200)
            for key, value in {**about, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
            return
        self._answer(206 if begin else 200, data[begin:], about)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        return None


def _oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub(tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    server = Hub(tiny("sd1"))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    # The library reads its environment once, when it is imported.
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    files = server.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("webui.engine.device.usable_cores", lambda: 1)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def draw(hub: Hub, models_dir: Path, tmp_path: Path) -> Draw:
    def run(model: str, *, offline: bool = False, **how: Any) -> Outcome:
        asked = {"prompt": "a cat", "steps": 2, "width": 64, "height": 64, "seed": 5, "model": model}
        return run_pipeline("diffusion.txt2img", asked, tmp_path, studio=studio(offline), **how)

    def studio(offline: bool) -> Studio:
        return make_studio(tmp_path / "data", models_dirs=[models_dir], offline=offline)

    return run


def test_a_model_is_fetched_with_progress_and_draws_as_its_folder(draw: Draw, hub: Hub) -> None:
    outcome = draw("someone/tiny")
    assert outcome.state == "done", outcome.error
    assert outcome.images[0].tobytes() == draw("diffusers/sd1").images[0].tobytes()
    told = [step.message for step in outcome.progress]
    assert any(message.startswith("Asking the hub for someone/tiny") for message in told)
    assert any(message.startswith("Fetching someone/tiny") for message in told)
    assert not [headers for _, _, headers in hub.asked if "authorization" in {name.lower() for name in headers}]
    fetched = {path for command, path, _ in hub.asked if command == "GET" and "/resolve/" in path}
    assert fetched
    assert all(f"/resolve/{COMMITS['main']}/" in path for path in fetched), "one commit, not a branch that may move"
    before = len(hub.asked)
    assert draw("someone/tiny", offline=True).state == "done"
    assert len(hub.asked) == before, "offline asks nobody"


def test_a_revision_is_held(draw: Draw, hub: Hub) -> None:
    outcome = draw("someone/tiny@v1")
    assert outcome.state == "done", outcome.error
    assert {path.split("/resolve/")[1][:40] for _, path, _ in hub.asked if "/resolve/" in path} == {COMMITS["v1"]}
    assert draw("someone/tiny@v1", offline=True).state == "done"
    assert draw("someone/tiny@main", offline=True).error is not None
    assert "is no revision" in str(draw("someone/tiny@v1/../../x").error)
    unknown = draw("someone/tiny@nowhere")
    assert unknown.error is not None
    assert "cannot be fetched" in unknown.error.message


def test_a_cut_download_goes_on_where_it_was(draw: Draw, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**16)  # what arrives in whole chunks is kept
    hub.cut = "unet/diffusion_pytorch_model.safetensors"
    outcome = draw("someone/tiny")
    assert outcome.state == "done", outcome.error
    ranges = [headers["Range"] for _, path, headers in hub.asked if path.endswith(UNET) and "Range" in headers]
    half = len(hub.files["unet/diffusion_pytorch_model.safetensors"]) // 2
    assert ranges == [f"bytes={half // 2**16 * 2**16}-"]


def test_a_cancel_ends_the_download(draw: Draw) -> None:
    outcome = draw("someone/tiny", cancel_when=lambda seen: any("Asking" in step.message for step in seen.progress))
    assert outcome.state == "cancelled"


def test_a_token_comes_from_the_environment_alone(
    draw: Draw, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    (tmp_path / "token").write_text("hf_stored_by_another_program")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    assert draw("someone/tiny").state == "done"
    assert "hf_stored" not in str(hub.asked)
    monkeypatch.setenv("HF_TOKEN", "hf_from_the_environment")
    hub.asked.clear()
    assert draw("someone/tiny@v1").state == "done"
    assert "Bearer hf_from_the_environment" in str(hub.asked)


def test_without_a_way_to_the_hub_the_cache_serves_and_else_the_reason_is_told(draw: Draw, hub: Hub) -> None:
    from huggingface_hub import close_session

    assert draw("someone/tiny").state == "done"
    hub.shutdown()
    hub.server_close()
    close_session()  # a connection that is kept open would still be answered
    assert draw("someone/tiny").state == "done"
    outcome = draw("someone/other")
    assert outcome.error is not None
    assert "not on this machine, and the hub cannot be reached" in outcome.error.message


def test_an_id_that_is_nobodys(draw: Draw) -> None:
    outcome = draw("someone/else")
    assert outcome.error is not None
    assert "cannot be fetched" in outcome.error.message
    assert "HF_TOKEN" in outcome.error.hint
