"""A public address beside the running server: what opens it, what breaks it, what closes it. One real tunnel: OpenSSH,
both ends on this machine.
"""

from __future__ import annotations

import getpass
import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.web.conftest import make_services, wait_for
from tests.web.shared import share
from webui.core.errors import Conflict, ExtensionError, SetupError
from webui.core.specs import TunnelSpec
from webui.web import sharing as sharing_module
from webui.web.sharing import Shared, Sharing, find_tunnel, qr_lines, qr_svg
from webui.web.tunnels import ssh


class Rope:
    def __init__(self, url: str = "https://studio.example/") -> None:
        self.url, self.alive, self.closed = url, True, 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_module, "WATCH_S", 0.01)
    monkeypatch.setattr(sharing_module, "RETRIES_S", (0.0, 0.0))


def states(sharing: Sharing) -> list[str]:
    """Filled while it goes on."""
    met: list[str] = []
    sharing.told = lambda shared: met.append(shared.state)
    return met


def test_it_opens_closes_and_opens_again() -> None:
    ropes: list[Rope] = []
    sharing = Sharing("rope", lambda port: ropes.append(Rope(f"https://studio.example:{port}/")) or ropes[-1])
    met = states(sharing)
    sharing.begin(7860)
    wait_for(lambda: sharing.view().state == "open")
    assert sharing.view().url == "https://studio.example:7860/"
    assert sharing.origin == ("https", "studio.example:7860")
    assert sharing.again().state == "open", "one is enough"
    assert sharing.stop() == Shared("stopped", "rope")
    assert sharing.stop().state == "stopped"
    sharing.again()
    wait_for(lambda: sharing.view().state == "open")
    sharing.stop()
    assert [rope.closed for rope in ropes] == [1, 1]
    assert met == ["open", "stopped", "open", "stopped"]


def test_one_that_breaks_is_opened_again_and_not_for_ever() -> None:
    ropes: list[Rope] = []
    sharing = Sharing("rope", lambda port: ropes.append(Rope()) or ropes[-1])
    sharing.begin(7860)
    for count in (1, 2, 3):
        wait_for(lambda: len(ropes) == count and sharing.view().state == "open")  # noqa: B023
        ropes[-1].alive = False
    wait_for(lambda: sharing.view().state == "failed")
    assert "again and again" in sharing.view().problem
    assert [rope.closed for rope in ropes] == [1, 1, 1]


@pytest.mark.parametrize("error", [SetupError("no network.", hint="Plug it in."), RuntimeError("a stranger's fault")])
def test_one_that_cannot_be_opened_is_told_of(error: Exception) -> None:
    def opens(port: int) -> Rope:
        raise error

    sharing = Sharing("rope", opens)
    sharing.begin(7860)
    wait_for(lambda: sharing.view().state == "failed")
    assert sharing.view().problem == str(error)


def test_one_that_is_stopped_while_it_opens_is_closed() -> None:
    rope, go = Rope(), threading.Event()
    sharing = Sharing("rope", lambda port: go.wait(5) and rope)  # type: ignore[arg-type, return-value]
    sharing.begin(7860)
    assert sharing.view().state == "opening"
    sharing.stop()
    go.set()
    wait_for(lambda: rope.closed == 1)
    assert sharing.view().state == "stopped"


def test_a_studio_that_is_not_shared_opens_nothing() -> None:
    sharing = Sharing("none", None)
    sharing.begin(7860)
    assert sharing.view() == Shared()
    with pytest.raises(Conflict, match="not started to be shared"):
        sharing.again()


def test_tunnels_are_found_by_name_extensions_own_too() -> None:
    spec = TunnelSpec("rope.long", "Rope", ".tunnel:open")
    asked: list[Any] = []

    def with_argument(port: int, argument: str) -> Rope:
        asked.append((port, argument))
        return Rope()

    declared = {"rope.long": spec}
    assert find_tunnel("none", declared, lambda spec: with_argument) is None
    opens = find_tunnel("rope.long:to the roof", declared, lambda spec: with_argument)
    assert opens is not None
    opens(7860)
    assert asked == [(7860, "to the roof")]
    plain = find_tunnel("rope.long", declared, lambda spec: lambda port: Rope(str(port)))
    assert plain is not None
    assert plain(1).url == "1"
    for wanted in ("rope", "ssh", "ssh:", "gradio:x", "rope.short:7"):
        with pytest.raises(SetupError, match="there is no tunnel"):
            find_tunnel(wanted, declared, lambda spec: with_argument)
    with pytest.raises(SetupError, match="offline"):
        find_tunnel("gradio", declared, lambda spec: with_argument, offline=True)

    def broken(spec: TunnelSpec) -> Any:
        raise ExtensionError("cannot load it", extension="rope")

    with pytest.raises(ExtensionError):
        find_tunnel("rope.long", declared, broken)


def test_gradios_tunnel_without_a_network_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradio import networking

    from webui.web.tunnels.gradio_share import open_tunnel

    monkeypatch.setattr(networking, "GRADIO_API_SERVER", "http://127.0.0.1:9/")
    with pytest.raises(SetupError, match="sharing service could not be used") as caught:
        open_tunnel(7860)
    assert "--share ssh:USER@HOST" in caught.value.hint


def test_a_qr_code_is_drawn_for_terminals_and_pages() -> None:
    assert len(qr_lines("https://studio.example/").splitlines()) > 10
    assert qr_svg("https://studio.example/?a=1&b=<x>").startswith("<svg")
    assert "<x>" not in qr_svg("https://studio.example/?a=1&b=<x>")


def test_the_owner_sees_the_link_and_who_is_connected_and_stops_it(tmp_path: Path) -> None:
    shared = share(make_services(tmp_path))
    rope = Rope()
    sharing: Sharing = shared.app.state.sharing
    sharing._opens = lambda port: rope
    sharing.begin(7860)
    wait_for(lambda: sharing.view().state == "open")
    owner, guest = shared.browser("owner"), shared.browser("guest")
    said = owner.get("/api/v1/share").json()
    assert (said["state"], said["url"]) == ("open", rope.url)
    assert said["qr"].startswith("<svg")
    assert [(one["name"], one["browsers"]) for one in said["connected"]] == [("kim", 1), ("olga", 1)]
    assert guest.get("/api/v1/share").status_code == 403
    assert guest.delete("/api/v1/share").status_code == 403
    assert owner.delete("/api/v1/share").json()["state"] == "stopped"
    assert rope.closed == 1


def test_the_end_of_the_server_closes_the_tunnel(tmp_path: Path) -> None:
    shared = share(make_services(tmp_path))
    rope = Rope()
    shared.app.state.sharing._opens = lambda port: rope
    with TestClient(shared.app):
        shared.app.state.sharing.begin(7860)
        wait_for(lambda: shared.app.state.sharing.view().state == "open")
    assert rope.closed == 1


@pytest.mark.parametrize(
    "target", ["-oProxyCommand=x", "a b", "me@", "@host", "me@-x", "me@host:99999", "me@host;ls", ""]
)
def test_a_target_of_ssh_is_a_name_and_nothing_else(target: str) -> None:
    with pytest.raises(SetupError, match="is no target of ssh"):
        ssh.open_tunnel(7860, target)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A server of OpenSSH on loopback that lets one key in; options for its client."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if program is None or shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH's server is not installed")
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    key = (folder / "host.pub").read_text().split()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {key[0]} {key[1]}\n")
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stderr=log)
    try:
        wait_for(lambda: can_connect(port))
        yield ["-F", "none", "-p", str(port), "-i", str(folder / "user"), "-o", f"UserKnownHostsFile={folder}/known"]
    finally:
        server.terminate()
        server.wait(10)


def can_connect(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def studio() -> Iterator[int]:
    """Something that answers over HTTP; its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello from the studio")

        def log_message(self, *said: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_reverse_tunnel_of_ssh_carries_requests(sshd: list[str], studio: int) -> None:
    tunnel = ssh.open_tunnel(studio, f"{getpass.getuser()}@127.0.0.1", sshd)
    try:
        with urllib.request.urlopen(tunnel.url, timeout=10) as answer:
            assert answer.read() == b"hello from the studio"
        assert tunnel.alive
    finally:
        tunnel.close()
    assert not tunnel.alive
    tunnel.close()
    port = int(tunnel.url.rstrip("/").rpartition(":")[2])
    deadline = time.monotonic() + 5
    while can_connect(port):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_port_of_the_other_side_can_be_chosen_and_may_be_taken(sshd: list[str], studio: int) -> None:
    port = free_port()
    target = f"{getpass.getuser()}@127.0.0.1:{port}"
    tunnel = ssh.open_tunnel(studio, target, sshd)
    try:
        assert tunnel.url == f"http://127.0.0.1:{port}/"
        with pytest.raises(SetupError, match="forwarding failed"):
            ssh.open_tunnel(studio, target, sshd)
    finally:
        tunnel.close()


def test_a_host_that_is_not_known_or_lets_nobody_in_is_told_of(sshd: list[str], tmp_path: Path) -> None:
    unknown = [*sshd[:-1], f"UserKnownHostsFile={tmp_path}/nothing"]
    with pytest.raises(SetupError, match="Host key verification failed") as caught:
        ssh.open_tunnel(7860, f"{getpass.getuser()}@127.0.0.1", unknown)
    assert "look at the key" in caught.value.hint
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    stranger = [str(tmp_path / "other") if part.endswith("/user") else part for part in sshd]
    with pytest.raises(SetupError, match="Permission denied"):
        ssh.open_tunnel(7860, f"{getpass.getuser()}@127.0.0.1", [*stranger, "-o", "IdentitiesOnly=yes"])
