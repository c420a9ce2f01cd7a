"""One browser of `bench load`: opens the page as its scripts do, holds its event streams, and acts now and then."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx

API = "/api/v1"
PAGE = 60
CONNECTIONS = 6
"""What browsers open to one host for requests; event streams have their own here."""
ENDED = ("done", "failed", "cancelled")
_FORM = "brush-strokes"
_FIELD = f"f-{_FORM}-"
_FILES = ("/ui/", "/assets/", "/static/", "/theme.css")
_CONFIG = "window.gradio_config ="


@dataclass
class Seen:
    """What all browsers of a run met."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[int] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Answers of the kinds that a browser never should get: 5xx, and refusals other than of a full queue."""
    jobs: dict[str, str] = field(default_factory=dict)
    """Each accepted job -> whose it is."""
    cancelled: set[str] = field(default_factory=set)
    """Jobs that someone asked to cancel."""
    refused: int = 0
    """Submissions that met a full queue of one's own."""
    told: Counter[str] = field(default_factory=Counter)
    """Events by name, from all streams."""
    measuring: bool = False


@dataclass(frozen=True)
class Manners:
    """How a person uses it, in s and shares."""

    pause_s: float = 2.0
    """Mean time between two acts."""
    arrive_s: float = 10.0
    """Within which all come."""
    cancels: float = 0.12
    waits_for: int = 2
    """Jobs of its own that a browser leaves waiting before it submits a further one."""


class Browser:
    """``name``'s browser, which enters by ``link``. ``run`` until it is cancelled."""

    def __init__(self, base: str, name: str, link: str, seen: Seen, manners: Manners, seed: int) -> None:
        self.name = name
        self._link = link
        self._seen = seen
        self._manners = manners
        self._chance = random.Random(seed)
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=2.0)
        headers = {"Sec-Fetch-Site": "same-origin", "Accept-Encoding": "gzip"}
        self._http = httpx.AsyncClient(base_url=base, headers=headers, limits=limits, timeout=60)
        self._streams = httpx.AsyncClient(base_url=base, headers=headers, timeout=httpx.Timeout(60, read=None))
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._cached: set[str] = set()
        self._open: set[asyncio.Task[None]] = set()
        self._own: dict[str, str] = {}
        """Its jobs that have not ended, as far as it heard -> state."""
        self._session = ""
        self._form: tuple[int, int, dict[str, Any]] | None = None

    async def run(self) -> None:
        """Enter, open the page, act until cancelled."""
        try:
            await asyncio.sleep(self._chance.uniform(0, self._manners.arrive_s))
            await self._ask("login", "POST", f"/login/{self._link}")
            self._streams.cookies = self._http.cookies
            await self._open_page()
            while True:
                await asyncio.sleep(self._chance.expovariate(1 / self._manners.pause_s))
                await self._act()
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await self._http.aclose()
            await self._streams.aclose()

    async def _act(self) -> None:
        acts = {
            self._submit: 40 if len(self._own) < self._manners.waits_for else 0,
            self._gallery: 20,
            self._queue: 12,
            self._search: 8,
            self._look: 15,
            self._reload: 3,
        }
        await self._chance.choices(list(acts), list(acts.values()))[0]()

    # --- what is asked

    async def _ask(self, what: str, method: str, path: str, **said: Any) -> httpx.Response:
        async with self._free:  # what waits for one of the browser's own connections was not asked yet
            began = time.perf_counter()
            try:
                answer = await self._http.request(method, path, **said)
            except (httpx.RemoteProtocolError, httpx.ReadError):
                # The server closed an idle connection in the same moment: browsers send it once more, on a new one.
                answer = await self._http.request(method, path, **said)
            took = time.perf_counter() - began
        seen = self._seen
        if seen.measuring:
            seen.seconds[what].append(took)
        seen.statuses[answer.status_code] += 1
        if answer.status_code >= 400 and answer.status_code not in (404, 409):
            seen.broken.append(f"{answer.status_code} {method} {path}: {answer.text[:200]}")
        return answer

    async def _open_page(self) -> None:
        """The page, its scripts where the browser has none yet, and its streams."""
        for task in self._open:
            task.cancel()
        self._open.clear()
        page = (await self._ask("page", "GET", "/")).text
        self._session = secrets.token_hex(6)
        addresses = {one.removeprefix(".") for one in _between(page, ' src="', '"') | _between(page, ' href="', '"')}
        fresh = {one for one in addresses if one.startswith(_FILES)} - self._cached
        self._cached |= fresh
        await asyncio.gather(*(self._ask("file", "GET", address) for address in sorted(fresh)))
        self._form = self._form or _form_of(page)
        for job in self._own:  # which the page finds in the queue, and watches again
            self._hold(f"{API}/jobs/{job}/events", job)
        self._hold(f"{API}/events")
        self._hold(f"/gradio_api/heartbeat/{self._session}")
        await asyncio.gather(
            self._ask("health", "GET", f"{API}/health"),
            self._ask("who", "GET", f"{API}/me"),
            self._gallery(),
        )

    async def _reload(self) -> None:
        await self._open_page()

    async def _submit(self) -> None:
        """The button of the form, as the page's script presses it."""
        if self._form is None:
            raise LookupError("the page has no form of brush.strokes")
        function, stage, fields = self._form
        values = {"prompt": "waves", "batch_count": self._chance.randint(1, 3), "steps": self._chance.randint(10, 25)}
        body = {
            "fn_index": function,
            "data": [values.get(name, default) for name, default in fields.items()],
            "session_hash": self._session,
            "trigger_id": stage,
            "event_data": None,
        }
        answer = await self._ask("submit", "POST", "/gradio_api/run/predict", json=body)
        told = json.loads(answer.json()["data"][0])
        if "job" not in told:
            self._seen.refused += 1
            return
        job = str(told["job"])
        self._seen.jobs[job] = self.name
        self._own[job] = "queued"
        self._hold(f"{API}/jobs/{job}/events", job)
        if self._chance.random() < self._manners.cancels:
            self._later(self._cancel(job))

    async def _cancel(self, job: str) -> None:
        await asyncio.sleep(self._chance.uniform(0.1, 6.0))
        self._seen.cancelled.add(job)
        await self._ask("cancel", "DELETE", f"{API}/jobs/{job}")

    async def _gallery(self) -> None:
        """One to three pages, with the thumbnails that the browser does not have yet."""
        query: dict[str, Any] = {"query": "", "favourites": "false", "trashed": "false", "limit": PAGE}
        for _ in range(self._chance.randint(1, 3)):
            page = (await self._ask("gallery", "GET", f"{API}/artifacts", params=query)).json()
            await asyncio.gather(*(self._thumbnail(row["id"], 256) for row in page["artifacts"][:24]))
            if not page.get("next"):
                return
            query["before"] = page["next"]

    async def _thumbnail(self, artifact: str, side: int) -> None:
        address = f"{API}/artifacts/{artifact}?thumbnail={side}"
        if address not in self._cached:
            self._cached.add(address)
            await self._ask("thumbnail", "GET", address)

    async def _search(self) -> None:
        query = {"query": self._chance.choice(["waves", "steps:>=5", "kind:image -red"]), "limit": PAGE}
        await self._ask("search", "GET", f"{API}/artifacts", params=query)

    async def _queue(self) -> None:
        page = (await self._ask("queue", "GET", f"{API}/jobs", params={"limit": 40})).json()
        if page["next"]:
            await self._ask("queue", "GET", f"{API}/jobs", params={"limit": 40, "before": page["next"]})

    async def _look(self) -> None:
        """One picture, whole, and how it was made."""
        rows = (await self._ask("gallery", "GET", f"{API}/artifacts", params={"limit": PAGE})).json()["artifacts"]
        if rows:
            one = self._chance.choice(rows)["id"]
            await self._ask("picture", "GET", f"{API}/artifacts/{one}")
            await self._ask("recipe", "GET", f"{API}/artifacts/{one}/metadata")

    # --- streams

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    def _hold(self, path: str, job: str = "") -> None:
        self._later(self._listen(path, job))

    async def _listen(self, path: str, job: str) -> None:
        """Read an event stream; of a job, until it has ended, and look at what it made then."""
        with contextlib.suppress(httpx.TransportError):
            async with self._streams.stream("GET", path) as answer:
                self._seen.statuses[answer.status_code] += 1
                if answer.status_code >= 400:
                    self._seen.broken.append(f"{answer.status_code} GET {path}")
                async for name in _names(answer):
                    self._seen.told[name] += 1
                    if job and name in ENDED:
                        break
        if job:
            self._own.pop(job, None)
            made = (await self._ask("job", "GET", f"{API}/jobs/{job}")).json()["artifacts"]
            for row in made[:2]:
                await self._thumbnail(row["id"], 512)


async def _names(answer: httpx.Response) -> AsyncIterator[str]:
    """The names of a stream's events."""
    rest = b""
    async for chunk in answer.aiter_raw():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"event: "):
                yield line[7:].decode()


def _between(text: str, begin: str, end: str) -> set[str]:
    return {part.split(end, 1)[0] for part in text.split(begin)[1:]}


@functools.lru_cache(maxsize=4)
def _form_of(page: str) -> tuple[int, int, dict[str, Any]] | None:
    """The button's function, the button, and the form's fields with what stands in them."""
    config, _ = json.JSONDecoder().raw_decode(page, page.index(_CONFIG) + len(_CONFIG) + 1)
    parts = {part["id"]: part for part in config["components"]}
    for event in config["dependencies"]:
        for target, kind in event["targets"]:
            if kind == "click" and parts[target]["props"].get("elem_id") == f"go-{_FORM}":
                shown = [parts[number]["props"] for number in event["inputs"]]
                return event["id"], target, {str(part["elem_id"])[len(_FIELD) :]: part.get("value") for part in shown}
    return None
