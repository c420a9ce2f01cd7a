"""Requests and a client -> what was answered, and what was wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

PASSWD = "root:x:0:0"


@dataclass
class Tally:
    """Of one sender: how often each status was answered, and a line for each answer that must not be."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def attack(client: TestClient, requests: Iterable[Mapping[str, Any]], folder: Path) -> Tally:
    """``requests``: what ``client.request`` takes; ``folder``: where the application lies, which no answer may name."""
    tally = Tally()
    for asked in requests:
        answer = client.request(**{"follow_redirects": False, **asked})
        tally.statuses[answer.status_code] += 1
        sent = " ".join(str(asked.get(part, ""))[:120] for part in ("method", "url", "json", "content"))
        tally.wrong += [f"{sent}: {one}" for one in faults_of(answer, folder)]
    return tally


def faults_of(answer: httpx.Response, folder: Path) -> list[str]:
    """What no answer may be or hold."""
    text = answer.text[:200_000]
    found = []
    if answer.status_code >= 500:
        found.append(f"status {answer.status_code}: {text[:300]}")
    if "Traceback (most recent" in text or 'File "/' in text:
        found.append("a traceback")
    if str(folder) in text:
        found.append("a path of this machine")
    if PASSWD in text:
        found.append("another file's content")
    if "x-evil" in answer.headers or "a=b" in answer.headers.get("set-cookie", ""):
        found.append("a header of the request's making")
    if "text/html" in answer.headers.get("content-type", "") and "<script>alert" in text:
        found.append("its own script")
    return found
