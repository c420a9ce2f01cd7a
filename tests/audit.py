"""Whether what constraints.txt pins has known vulnerabilities: pip-audit, where the data of one of its services can be
reached. ``python -m tests.audit``, a part of ``python launch.py test``.

Only what we pin is looked at, so that a finding is ours to mend: exit status 1 means that a pin has to move, or that
ACCEPTED needs its reason. A network that is not there fails nothing and is told, as "pip-audit: skipped, REASON".
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "constraints.txt"
ACCEPTED: Mapping[str, str] = {}
"""Id of a vulnerability -> why it does not concern us."""
PROBE_S = 5.0
LIMIT_S = 240.0
_KNOWN = ("jinja2", "2.4.1")
"""A release with published vulnerabilities: a service that knows none of them has no data, whatever it answers."""


@dataclass(frozen=True)
class Service:
    """One that pip-audit can ask. ``url``: of OSV's interface, or of a release in the index."""

    name: str
    url: str

    @property
    def options(self) -> list[str]:
        return ["--vulnerability-service", self.name, *(["--osv-url", self.url] if self.name == "osv" else [])]

    def why_not(self) -> str:
        """Empty where it has its data. Takes ``PROBE_S`` seconds a step at most."""
        name, version = _KNOWN
        asked = {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        try:
            if self.name == "osv":
                told = httpx.post(self.url, json=asked, timeout=PROBE_S)
            else:
                told = httpx.get(self.url.format(name=name, version=version), timeout=PROBE_S, follow_redirects=True)
            told.raise_for_status()
            return "" if _vulnerabilities(told.json()) else "it knows of no vulnerability in a release that has some"
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no answer'}"


SERVICES = (
    Service("osv", "https://api.osv.dev/v1/query"),
    Service("pypi", "https://pypi.org/pypi/{name}/{version}/json"),
)


def _vulnerabilities(told: Mapping[str, Any]) -> Sequence[Any]:
    return list(told.get("vulns") or told.get("vulnerabilities") or ())


def main(services: Sequence[Service] = SERVICES, pins: Path = PINS) -> int:
    if find_spec("pip_audit") is None:
        return skipped("it is not installed")
    reasons = []
    for service in services:
        reason = service.why_not()
        if not reason:
            return audit(service, pins)
        reasons.append(f"{service.name} cannot be asked ({reason})")
    return skipped("; ".join(reasons))


def skipped(reason: str) -> int:
    say(f"pip-audit: skipped, {reason}")
    return 0


def audit(service: Service, pins: Path) -> int:
    """Ask ``service`` about each pin. 1 where one has a known vulnerability that is not accepted."""
    with tempfile.TemporaryDirectory(prefix="lifelike-audit-") as folder:
        told = Path(folder) / "told.json"
        command = [sys.executable, "-m", "pip_audit", "-r", str(pins), "--no-deps", "--disable-pip"]
        command += ["--progress-spinner", "off", "--timeout", str(int(PROBE_S)), "--format", "json", "-o", str(told)]
        ignored = [word for one in ACCEPTED for word in ("--ignore-vuln", one)]
        try:
            done = subprocess.run(
                [*command, *service.options, *ignored], capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return skipped(f"{service.name} did not tell of every pin within {LIMIT_S:.0f} s")
        try:
            rows = json.loads(told.read_text(encoding="utf-8"))["dependencies"]
        except (OSError, ValueError, KeyError):
            return skipped(f"{service.name} broke off: {' '.join(done.stderr.split()[-30:])}")
    found = [(row["name"], row["version"], one) for row in rows for one in row.get("vulns", ())]
    for name, version, one in found:
        mended = ", ".join(one["fix_versions"]) or "no release yet"
        say(f"pip-audit: {name}=={version} has {one['id']}; mended in {mended}")
    unknown = [row["name"] for row in rows if "skip_reason" in row]
    say(
        f"pip-audit: {len(rows)} pins, {len(found)} known vulnerabilities by {service.name}"
        + (f"; not known there: {', '.join(unknown)}" if unknown else "")
    )
    return 1 if found else 0


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
