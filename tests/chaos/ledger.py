"""What was asked for, and whether all of it came to a stated end, whole and counted once."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.server import Server

ENDED = ("done", "failed", "cancelled")
WAIT_S = 180.0


@dataclass
class Ledger:
    """Jobs that the server accepted, with how many pictures each was to make."""

    asked: dict[str, int] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)
    """Every artifact that was ever told of -> its sha256."""

    def note(self, server: Server) -> None:
        """Remember what is shown now: it must be there at the end."""
        for row in server.client.get("/api/v1/artifacts", params={"limit": 500}).json()["artifacts"]:
            self.seen[row["id"]] = row["sha256"]

    def settle(self, server: Server) -> dict[str, Any]:
        """Wait for the end of all jobs, and count losses."""
        deadline = time.monotonic() + WAIT_S
        jobs = {name: server.job(name) for name in self.asked}
        while any(job["state"] not in ENDED for job in jobs.values()) and time.monotonic() < deadline:
            time.sleep(0.1)
            jobs = {name: job if job["state"] in ENDED else server.job(name) for name, job in jobs.items()}
        self.note(server)
        states = [job["state"] for job in jobs.values()]
        lost = [name for name, job in jobs.items() if job["state"] not in ENDED]
        lost += [name for name, job in jobs.items() if job["state"] == "done" and self._lacks(name, job)]
        unsaid = [
            name for name, job in jobs.items() if job["state"] == "failed" and not (job["error"] or {}).get("message")
        ]
        return {
            "jobs": len(jobs),
            **{state: states.count(state) for state in ENDED},
            "artifacts": len(self.seen),
            "lost_jobs": len(lost),
            "unstated_ends": len(unsaid),
            "lost_artifacts": len(self._broken(server)),
        }

    def _lacks(self, name: str, job: dict[str, Any]) -> bool:
        return sorted(row["index"] for row in job["artifacts"]) != list(range(self.asked[name]))

    def _broken(self, server: Server) -> list[str]:
        """Those of ``seen`` that are gone, cut short or changed."""
        broken = []
        for name, sha256 in self.seen.items():
            answer = server.client.get(f"/api/v1/artifacts/{name}")
            if answer.status_code != 200 or hashlib.sha256(answer.content).hexdigest() != sha256:
                broken.append(name)
        return broken


def leftovers(data: Path) -> int:
    """Temporary files among the pictures."""
    return sum(1 for path in (data / "images").rglob("*") if path.suffix == ".tmp")
