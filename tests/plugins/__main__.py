"""``python -m tests.plugins``: the whole zoo in one real server; a JSON line; exit status 1 where anything was lost.

First the two that end or hang a start, one after the other; then all others at once, beside three good extensions whose
jobs must be done, before and after each of the jobs that fail.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.integration.server import ROOT, Server, free_port, write_extension
from tests.plugins.zoo import ENDS_THE_START, LATE, ZOO, Animal, good

START_S = 60.0
RUN = tuple(animal for animal in LATE if "work.py" in animal.files)
HOOKS = ("breaks_pictures", "breaks_the_news", "breaks_the_end")
"""Fail in the jobs of others, and are suspended."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.plugins", description=__doc__)
    parser.add_argument("--out", type=Path, help="keep the line in this file too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lifelike-zoo-", ignore_cleanup_errors=True) as name:
        told = run(Path(name))
    line = json.dumps(told) + "\n"
    sys.stdout.write(line)
    if given.out:
        given.out.write_text(line, encoding="utf-8")
    return int(any(told[name] for name in ("misjudged", "good_lost", "jobs_lost", "unanswered")))


def run(folder: Path) -> dict[str, Any]:
    """The counts, losses among them."""
    began = time.monotonic()
    extensions = write_extension(folder / "extensions")
    for fatal in ENDS_THE_START:
        fatal.write(extensions)
        _die_of(fatal, folder)
    for animal in (good("good_one"), *ZOO, *LATE, good("zebra")):
        animal.write(extensions)
    server = Server(folder, free_port())
    try:
        told = _look(server) | _work(server)
    finally:
        server.close()
    return {"zoo": "extensions", **told, "seconds": round(time.monotonic() - began, 1)}


def _die_of(fatal: Animal, folder: Path) -> None:
    """A start that this extension ends, or that is ended since nobody waits for ever."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LIFELIKE_DATA_DIR": str(folder / "data"),
        "LIFELIKE_EXTENSIONS_DIRS": str(folder / "extensions"),
    }
    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--port", str(free_port())]
    start = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while start.poll() is None and time.monotonic() < deadline:
        marks = ""
        with contextlib.suppress(OSError):
            marks = "".join(path.read_text(encoding="utf-8") for path in (folder / "data").glob("starting.json"))
        if fatal.id in marks and fatal.id.startswith("hangs"):
            start.kill()
        time.sleep(0.05)
    start.kill()
    start.wait(10)


def _look(server: Server) -> dict[str, Any]:
    """How each was judged, and whether all that is good is there."""
    records = {row["id"]: row for row in server.client.get("/api/v1/extensions").json()["extensions"]}
    wrong = [animal.id for animal in (*ZOO, *LATE, *ENDS_THE_START) if not _as_expected(animal, records)]
    wanted = ("good_one", "zebra", "paint")
    lost = [name for name in wanted if records.get(name, {}).get("state") != "loaded"]
    pages = [server.client.get(path).status_code for path in ("/", "/config", "/api/v1/pipelines", "/openapi.json")]
    return {
        "animals": len(ZOO) + len(LATE) + len(ENDS_THE_START),
        "misjudged": len(wrong),
        **({"wrong": wrong} if wrong else {}),
        "good": len(wanted),
        "good_lost": len(lost),
        "unanswered": sum(status != 200 for status in pages),
    }


def _as_expected(animal: Animal, records: dict[str, Any]) -> bool:
    met = records.get(animal.id)
    if met is None or (met["state"], met["stage"]) != (animal.state, animal.stage):
        return False
    return animal.says in met["reason"] and bool(met["hint"] or animal.state == "loaded")


def _work(server: Server) -> dict[str, Any]:
    """Jobs of the bad, each between two of the good."""
    ends: dict[str, list[str]] = {"good": [], "bad": []}
    unsaid = 0
    for animal in RUN:
        ends["good"].append(server.wait_for(server.submit(count=1))["state"])
        bad = server.wait_for(server.submit(f"{animal.id}.make"))
        ends["bad"].append(bad["state"])
        unsaid += not (bad["error"] or {}).get("message")
    for _ in range(3):
        ends["good"].append(server.wait_for(server.submit(count=1))["state"])
    records = {row["id"]: row for row in server.client.get("/api/v1/extensions").json()["extensions"]}
    suspended = [name for name in HOOKS if any(hook["suspended"] for hook in records[name]["hooks"])]
    return {
        "jobs": len(ends["good"]) + len(ends["bad"]),
        "done": ends["good"].count("done"),
        "failed": ends["bad"].count("failed"),
        "jobs_lost": len(ends["good"]) - ends["good"].count("done") + len(RUN) - ends["bad"].count("failed") + unsaid,
        "hooks_suspended": len(suspended),
    }


if __name__ == "__main__":
    sys.exit(main())
