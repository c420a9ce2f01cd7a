"""Requests made from what the API says of itself, by each kind of visitor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.fuzz.attack import attack
from tests.fuzz.openapi import requests_of
from tests.fuzz.senders import SENDERS


@pytest.fixture(scope="module")
def requests(senders: Mapping[str, TestClient]) -> list[dict[str, Any]]:
    return requests_of(senders["open"].app.openapi())  # type: ignore[attr-defined]


@pytest.mark.parametrize("sender", SENDERS)
def test_no_request_breaks_anything(
    senders: Mapping[str, TestClient], folder: Path, requests: list[dict[str, Any]], sender: str
) -> None:
    told = attack(senders[sender], requests, folder)
    assert not told.wrong, "\n".join([f"{sender}: {len(told.wrong)} of {told.statuses.total()}", *told.wrong[:20]])
    assert told.statuses.total() > 250
    if sender == "stranger":
        assert told.statuses[401] > 200
