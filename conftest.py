"""Isolation for every test of the project and of its extensions: own home folder, no hub, no network beyond loopback.

It stands in the project's root because pytest applies a conftest to the folders below it, extensions/ among them.
The environment is set while this module is imported: huggingface_hub and gradio read it once, when they are imported.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

HOME = Path(tempfile.mkdtemp(prefix="lifelike-tests-"))
ENVIRONMENT = {
    "HOME": HOME,
    "USERPROFILE": HOME,
    "XDG_CACHE_HOME": HOME / "cache",
    "XDG_CONFIG_HOME": HOME / "config",
    "XDG_DATA_HOME": HOME / "data",
    "HF_HOME": HOME / "huggingface",
    "TORCH_HOME": HOME / "torch",
    "GRADIO_TEMP_DIR": HOME / "gradio",
    "LIFELIKE_DATA_DIR": HOME / "outputs",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "DO_NOT_TRACK": "1",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait do not take a core from the test beside them
}
KEPT_VARIABLES = {"LIFELIKE_NO_CHROMIUM_REASON"}

for _name in [name for name in os.environ if name.startswith("LIFELIKE_") and name not in KEPT_VARIABLES]:
    del os.environ[_name]
os.environ.update({name: str(value) for name, value in ENVIRONMENT.items()})

# The same examples in every run, and no deadline: the machine may be busy with something else.
settings.register_profile("lifelike", deadline=None, derandomize=True, database=None)
settings.load_profile("lifelike")


class NetworkBlocked(RuntimeError):
    """A test reached for another machine. No OSError: code that treats those as "offline" would hide it."""


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_outside_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets of this process connect to loopback and Unix sockets only."""

    def guard(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
        def guarded(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
                raise NetworkBlocked(f"a test tried to connect to {address!r}; tests reach loopback only.")
            return connect(self, address)

        return guarded

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and not is_loopback(host):
            raise NetworkBlocked(f"a test tried to look up {host!r}; tests reach loopback only.")
        return getaddrinfo(host, *args, **kwargs)

    getaddrinfo = socket.getaddrinfo
    monkeypatch.setattr(socket.socket, "connect", guard(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def is_loopback(host: str | bytes) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in ("", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
