"""tests/audit.py: pip-audit itself, asked about pins, with a service on this machine that answers as OSV does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import audit

SICK = {("jinja2", "2.4.1"): "PYSEC-1", ("sickly", "1.0"): "PYSEC-2"}


class Osv(BaseHTTPRequestHandler):
    """Knows of SICK alone."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = SICK.get((asked["package"]["name"], asked["version"]))
        told = {"vulns": [{"id": known, "summary": "bad", "affected": [_affected(asked)]}]} if known else {}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def _affected(asked: dict[str, object]) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]
    return {"package": asked["package"], "ranges": ranges}


@pytest.fixture
def service() -> Iterator[audit.Service]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield audit.Service("osv", f"http://127.0.0.1:{server.server_port}/v1/query")
    server.shutdown()
    server.server_close()


def test_pins_without_a_known_vulnerability_pass(service: audit.Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main([service]) == 0
    told = capsys.readouterr().err
    assert f"{len(pins_of(audit.PINS))} pins, 0 known vulnerabilities by osv" in told


def test_a_vulnerable_pin_fails_by_name_and_says_what_mends_it(
    service: audit.Service, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text("healthy==1.0\nsickly==1.0\n")
    assert audit.main([service], pins) == 1
    assert "sickly==1.0 has PYSEC-2; mended in 9.9" in capsys.readouterr().err
    monkeypatch.setattr(audit, "ACCEPTED", {"PYSEC-2": "we never call it"})
    assert audit.main([service], pins) == 0


def test_no_network_is_told_and_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    nobody = audit.Service("osv", "http://127.0.0.1:9/v1/query")
    assert audit.main([nobody, audit.Service("pypi", "http://127.0.0.1:9/{name}/{version}/json")]) == 0
    told = capsys.readouterr().err
    assert told.startswith("pip-audit: skipped, osv cannot be asked (ConnectError: ")
    assert "; pypi cannot be asked (ConnectError: " in told


def test_a_service_without_data_is_not_believed(service: audit.Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SICK, ("jinja2", "2.4.1"))
    assert service.why_not() == "it knows of no vulnerability in a release that has some"


def pins_of(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
