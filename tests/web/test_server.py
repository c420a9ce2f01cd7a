"""The process around the application: taking the port, the address that is shown, and a whole start and stop."""

from __future__ import annotations

import _socket
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from webui.core.errors import SetupError
from webui.core.settings import ROOT
from webui.web.server import browser_address, listen

HEAVY = ("torch", "torchvision", "diffusers", "transformers", "accelerate", "matplotlib")


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=f"port {port} .* is in use") as met:
            listen("127.0.0.1", port)
    assert f"--port {port + 1}" in met.value.hint


def test_who_comes_early_waits() -> None:
    """The port is open from the first moment, long before Gradio is there to answer."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:
        with socket.create_connection(listening.getsockname(), timeout=2) as early:
            assert early.getpeername() == listening.getsockname()


def test_an_address_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _socket.getaddrinfo)  # numbers, and a name no resolver is asked for
    with pytest.raises(SetupError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
    with pytest.raises(SetupError, match=r"there is no address 'no\.\.host'"):
        listen("no..host", 0)


def test_the_address_shown_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webui.web.server._own_address", lambda: "192.168.1.5")  # tests look up no route
    assert browser_address("127.0.0.1", 7860, "") == "http://127.0.0.1:7860/"
    assert browser_address("::1", 80, "") == "http://[::1]:80/"
    for everywhere in ("0.0.0.0", "::"):
        assert browser_address(everywhere, 7860, "a-token") == "http://192.168.1.5:7860/?token=a-token"


SERVE = """
import json, sys
from webui.app import build_services
from webui.core.settings import load_settings
from webui.web.server import serve
serve(build_services(load_settings()), open_browser=False)
print(json.dumps(sorted(set(sys.argv[1:]) & set(sys.modules))))
"""


@pytest.mark.skipif(os.name == "nt", reason="SIGINT cannot be sent to one process there")
def test_a_whole_start_with_the_built_in_extensions(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LIFELIKE_DATA_DIR": str(tmp_path), "LIFELIKE_PORT": "0"}
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, *HEAVY], env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    )
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http://"))
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"gradio" in page.read()
            assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        with urllib.request.urlopen(address + "api/v1/pipelines", timeout=60) as answer:
            assert json.load(answer)["pipelines"]
        event = urllib.request.Request(
            address + "gradio_api/queue/join",
            data=b'{"data": [{"path": "/etc/passwd"}], "fn_index": 0, "session_hash": "x"}',
            headers={"Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(event, timeout=60)
        server.send_signal(signal.SIGINT)
        rest, _ = server.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    assert json.loads(rest.splitlines()[-1]) == [], "the web process stays light"
    assert server.returncode == 0
