"""Beneath everything an extension does while it is checked: refuses and notes each attempt to reach another machine.

It is an audit hook of the interpreter, which sees sockets however they are opened from Python, and cannot be taken off.
"""

from __future__ import annotations

import sys
from typing import Any

from webui.core.settings import is_loopback


class NetworkRefused(RuntimeError):
    """Code under check reached for another machine. No OSError, so that "offline" is not taken for an answer."""


class NetworkSentry:
    """``attempts`` are the addresses that were asked for, each once."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.sendto"):
            address = arguments[1]
            if isinstance(address, tuple):  # of Unix sockets it is a path
                self._judge(str(address[0]))
        elif event in ("socket.getaddrinfo", "socket.gethostbyname") and arguments[0]:
            host = arguments[0]
            self._judge(host.decode(errors="replace") if isinstance(host, bytes) else str(host))

    def _judge(self, host: str) -> None:
        if is_loopback(host) or host in ("0.0.0.0", "::", ""):
            return
        if host not in self.attempts:
            self.attempts.append(host)
        raise NetworkRefused(f"it reached for {host!r}; an extension may do so only in a job that asks for it")
