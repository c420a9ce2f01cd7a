"""The clients of this room, made once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.fuzz.senders import open_senders


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz-data-folder")


@pytest.fixture(scope="package")
def senders(folder: Path) -> Iterator[Mapping[str, TestClient]]:
    with open_senders(folder) as clients:
        yield clients
