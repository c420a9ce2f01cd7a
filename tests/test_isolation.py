"""The root conftest.py: tests have a home of their own and reach no other machine."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest

from conftest import is_loopback


def test_home_and_data_are_temporary() -> None:
    home = Path.home()
    assert home.name.startswith("lifelike-tests-")
    assert home in Path(os.environ["LIFELIKE_DATA_DIR"]).parents
    assert os.environ["HF_HUB_OFFLINE"] == "1"


@pytest.mark.parametrize("address", [("192.0.2.1", 80), ("example.org", 443)])
def test_outside_is_refused(address: tuple[str, int]) -> None:
    with socket.socket() as client:
        client.settimeout(1)
        with pytest.raises(RuntimeError, match="loopback only"):
            client.connect(address)
        with pytest.raises(RuntimeError, match="loopback only"):
            client.connect_ex(address)
    with pytest.raises(RuntimeError, match="loopback only"):
        socket.create_connection(address, timeout=1)

    async def connect() -> None:
        await asyncio.open_connection(*address)

    with pytest.raises(RuntimeError, match="loopback only"):
        asyncio.run(connect())


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = threading.Thread(target=lambda: server.accept()[0].close())
        answer.start()
        with socket.create_connection(("localhost", port), timeout=5) as client:
            assert client.recv(1) == b""
        answer.join()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.7", True),
        ("::1", True),
        (b"127.0.0.1", True),
        ("10.0.0.1", False),
        ("a.b", False),
    ],
)
def test_what_counts_as_loopback(host: str | bytes, expected: bool) -> None:
    assert is_loopback(host) is expected
