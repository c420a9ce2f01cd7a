"""Browsers that submit, watch, cancel and page through the gallery, all at once, against a real server with accounts.

Five people share the browsers; the owner has as many as two guests have. Prints one line of JSON. Exit status 1 where a
bound of ``BOUNDS`` does not hold. What the browsers themselves take of the machine is taken from the server: where they
answer late (``client_late_p95_ms``), so do the times measured by them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._browsing import API, ENDED, Browser, Manners, Seen  # noqa: E402 - found by the line before
from webui.accounts.people import Role  # noqa: E402
from webui.accounts.store import AccountStore  # noqa: E402
from webui.core.guests import Quota  # noqa: E402
from webui.core.settings import Settings  # noqa: E402

OWNER, GUESTS = "olga", ("kim", "lee", "mia", "noa")
BOUNDS = {
    "lost_jobs": 0,
    "server_errors": 0,
    "refused_answers": 0,
    "memory_growth": 0.02,
    "page_p95_ms": 200.0,
    "unfair": 0.10,
}
WARM_UP = 0.35
"""Of the whole time, before anything is measured: caches fill, libraries are imported, the gallery gets its pages."""
SETTLE_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench load", description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=4.0, help="mean time between two acts of a browser, in s")
    parser.add_argument("--out", type=Path, help="also write the line into this folder, as load.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lifelike-load-", ignore_cleanup_errors=True) as folder:
        told = asyncio.run(measure(Path(folder), given))
    line = json.dumps(told)
    print(line)
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "load.json").write_text(line + "\n", encoding="utf-8")
    for name in told["missed"]:
        print(f"{name} is {told[name]}, expected at most {BOUNDS[name]}", file=sys.stderr)
    return int(bool(told["missed"]))


async def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    settings = Settings(data_dir=folder / "data")
    accounts = AccountStore(settings.accounts_path)
    links = _people(accounts, given.users)
    token, _ = accounts.add_token(OWNER, ["read"])
    seen, memory = Seen(), Memory()
    with served(folder) as (base, process):
        manners = Manners(pause_s=given.pause)
        browsers = [
            Browser(base, name, link, seen, manners, given.seed * 1000 + n) for n, (name, link) in enumerate(links)
        ]
        tasks = [asyncio.create_task(browser.run()) for browser in browsers]
        watch = asyncio.create_task(memory.watch(process.pid))
        began = time.time()
        await asyncio.sleep(given.minutes * 60 * WARM_UP)
        seen.measuring, memory.measuring, from_s = True, True, time.time()
        await _until(began + given.minutes * 60, tasks)
        seen.measuring, memory.measuring, until_s = False, False, time.time()
        for task in (*tasks, watch):
            task.cancel()
        outcomes = await asyncio.gather(*tasks, watch, return_exceptions=True)
        crashed = [repr(one) for one in outcomes if isinstance(one, Exception)]
        jobs, broken_pictures = await _settled(base, token, seen)
    turns, seconds, always = _shares(jobs, from_s, until_s)
    told: dict[str, Any] = {
        "measurement": "load", "users": given.users, "people": 1 + len(GUESTS), "minutes": given.minutes,
        "seed": given.seed, "server_cpu": memory.server_cpu,
        "jobs": len(seen.jobs), **Counter(job["state"] for job in jobs.values()), "refused_full_queue": seen.refused,
        "requests": sum(seen.statuses.values()), "events": sum(seen.told.values()),
        "lost_jobs": _lost(jobs, seen) + broken_pictures,
        "server_errors": sum(count for status, count in seen.statuses.items() if status >= 500),
        "refused_answers": len(seen.broken) + len(crashed),
        **_times(seen), "client_late_p95_ms": memory.late_p95_ms(),
        "memory_growth": memory.growth(), "memory_mib": memory.levels(),
        "unfair": _unfair(turns, always), "turns": turns, "worker_s": seconds, "always_waiting": always,
        "machine": {"cores": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2)},
    }  # fmt: skip
    for line in (seen.broken + crashed)[:10]:
        print(line, file=sys.stderr)
    told["missed"] = [name for name, bound in BOUNDS.items() if not told[name] <= bound]
    return told


def _people(accounts: AccountStore, users: int) -> list[tuple[str, str]]:
    """(name, link that logs in) of each browser."""
    accounts.add(OWNER, Role.OWNER)
    for name in GUESTS:
        accounts.add(name, Role.GUEST, quota=Quota(waiting=40, minutes=0))
    names = (OWNER, OWNER, *GUESTS)
    return [(name, accounts.make_link(name)) for name in (names[n % len(names)] for n in range(users))]


@contextlib.contextmanager
def served(folder: Path) -> Any:
    """(address, process) of a server with a login, every built-in extension, and the one that paints."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LIFELIKE_DATA_DIR": str(folder / "data"),
        "LIFELIKE_MODELS_DIRS": str(ROOT / "models"),
        "LIFELIKE_EXTENSIONS_DIRS": os.pathsep.join(str(ROOT / name) for name in ("extensions", "benchmarks/_load")),
    }
    log = (folder / "server.log").open("wb")
    command = [sys.executable, "-m", "webui.cli", "serve", "--no-browser", "--login", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait_for(base, process, folder / "server.log")
        yield base, process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def _wait_for(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{base}/login", timeout=5).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"the server did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


async def _until(end_s: float, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Sleep to the end; sooner where every browser has failed."""
    await asyncio.wait(tasks, timeout=max(0.0, end_s - time.time()), return_when=asyncio.ALL_COMPLETED)


class Memory:
    """What the server and its worker hold, and how late this process itself is. ``growth`` compares the last fifth of
    the measured time with its first; each level is the median of a fifth, because allocators go up and down.
    """

    def __init__(self) -> None:
        self.measuring = False
        self.server_cpu = 0.0
        """Of one core, the share that the server's own process took."""
        self._samples: dict[str, list[int]] = {"server": [], "worker": []}
        self._late: list[float] = []
        self._began: tuple[float, float] | None = None

    async def watch(self, server: int) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.25)
            if not self.measuring:
                continue
            self._late.append(time.perf_counter() - before - 0.25)
            if len(self._late) % 8 == 0:
                self._look(psutil.Process(server))

    def _look(self, server: psutil.Process) -> None:
        taken, now = sum(server.cpu_times()[:2]), time.perf_counter()
        if self._began is None:
            self._began = taken, now
        else:
            self.server_cpu = round((taken - self._began[0]) / (now - self._began[1]), 3)
        workers = sum(_unique(child) for child in server.children(recursive=True))
        for name, held in (("server", _unique(server)), ("worker", workers)):
            self._samples[name].append(held)

    def _fifths(self, name: str) -> tuple[float, float]:
        held = self._samples[name]
        count = max(1, len(held) // 5)
        return statistics.median(held[:count]), statistics.median(held[-count:])

    def growth(self) -> float:
        """Of the process that grew most, as a share."""
        return round(max(last / first - 1 for first, last in map(self._fifths, self._samples)), 4)

    def levels(self) -> dict[str, list[float]]:
        return {name: [round(level / 2**20, 1) for level in self._fifths(name)] for name in self._samples}

    def late_p95_ms(self) -> float:
        return round(_at(self._late, 0.95) * 1000, 1)


def _unique(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_full_info().uss)
    return 0


def _at(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _times(seen: Seen) -> dict[str, Any]:
    """How long answers took; ``by_route``: count, median and 95th percentile in ms."""
    every = [value for values in seen.seconds.values() for value in values]
    rows = {
        what: [len(values), round(_at(values, 0.5) * 1000, 1), round(_at(values, 0.95) * 1000, 1)]
        for what, values in sorted(seen.seconds.items())
    }
    return {
        "page_p50_ms": round(_at(every, 0.5) * 1000, 1),
        "page_p95_ms": round(_at(every, 0.95) * 1000, 1),
        "page_max_ms": round(max(every, default=0.0) * 1000, 1),
        "by_route": rows,
    }


async def _settled(base: str, token: str, seen: Seen) -> tuple[dict[str, dict[str, Any]], int]:
    """Every job once it has ended, and how many of what they made are not there whole."""
    headers = {"Authorization": f"Bearer {token}"}
    jobs: dict[str, dict[str, Any]] = {}
    broken = 0
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as client:
        deadline = time.monotonic() + SETTLE_S
        open_jobs = set(seen.jobs)
        while open_jobs and time.monotonic() < deadline:
            for job in sorted(open_jobs):
                answer = await client.get(f"{API}/jobs/{job}")
                jobs[job] = answer.json() if answer.status_code == 200 else {"state": "gone", "artifacts": []}
            open_jobs = {job for job in open_jobs if jobs[job]["state"] not in (*ENDED, "gone")}
            await asyncio.sleep(0.5)
        for row in (row for job in jobs.values() for row in job["artifacts"]):
            answer = await client.get(f"{API}/artifacts/{row['id']}")
            broken += answer.status_code != 200 or len(answer.content) != row["size_bytes"]
    return jobs, broken


def _lost(jobs: dict[str, dict[str, Any]], seen: Seen) -> int:
    """Jobs that did not end, failed, were cancelled unasked, or made less than they were to."""
    lost = 0
    for name, job in jobs.items():
        made = sorted(row["index"] for row in job["artifacts"])
        done = job["state"] == "done" and made == list(range(job["params"]["batch_count"]))
        lost += not (done or (job["state"] == "cancelled" and name in seen.cancelled))
    return lost


def _shares(
    jobs: dict[str, dict[str, Any]], from_s: float, until_s: float
) -> tuple[dict[str, int], dict[str, float], dict[str, float]]:
    """Of each person: jobs begun while it was measured, the worker's seconds, and for which part of that time one of
    its jobs waited or ran.
    """
    turns, seconds, waiting = Counter[str](), Counter[str](), dict[str, list[tuple[float, float]]]()
    for job in jobs.values():
        who, began, ended = job["owner"], job["started_at"], job["finished_at"] or until_s
        waiting.setdefault(who, []).append((max(from_s, job["created_at"]), min(until_s, ended)))
        if began is not None:
            turns[who] += from_s <= began < until_s
            seconds[who] += max(0.0, min(until_s, ended) - max(from_s, began))
    always = {who: round(_covered(spans) / (until_s - from_s), 3) for who, spans in sorted(waiting.items())}
    return dict(sorted(turns.items())), {who: round(value, 1) for who, value in sorted(seconds.items())}, always


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """The length of what ``spans`` cover together."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(span for span in spans if span[1] > span[0]):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def _unfair(turns: dict[str, int], always: dict[str, float]) -> float:
    """How far the turns of someone are from an equal share, among those who always wanted one."""
    wanted = [turns[who] for who in turns if always[who] > 0.98]
    if len(wanted) < 2:
        return 1.0  # nothing was to be shared: the load was too small to say
    mean = statistics.mean(wanted)
    return round(max(abs(count / mean - 1) for count in wanted), 4)


if __name__ == "__main__":
    sys.exit(main())
