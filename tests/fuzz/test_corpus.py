"""No bad request is answered by an error of ours, a traceback, a path of this machine or a header of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.fuzz.attack import attack
from tests.fuzz.corpus import cases
from tests.fuzz.senders import SENDERS

CASES = cases()


def test_the_corpus_is_large_and_of_every_kind() -> None:
    counts = Counter(case.kind for case in CASES)
    assert len(CASES) >= 200
    assert set(counts) == {"path", "address", "words", "json", "raw", "picture", "name", "header", "archive"}


@pytest.mark.parametrize("sender", SENDERS)
def test_no_bad_request_breaks_anything(senders: Mapping[str, TestClient], folder: Path, sender: str) -> None:
    client = senders[sender]
    told = attack(client, [case.as_request() for case in CASES], folder)
    assert not told.wrong, "\n".join([f"{sender}: {len(told.wrong)} of {told.statuses.total()}", *told.wrong[:20]])
    if sender == "stranger":
        assert told.statuses[200] + told.statuses[201] + told.statuses[202] == 0
    assert client.get("/api/v1/health").status_code == (401 if sender == "stranger" else 200)
