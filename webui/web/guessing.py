"""Below the guard: how often an address may be wrong, and which paths need no login at all."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class GuessLimit:
    """A bucket of wrong guesses for each client address: ``burst`` at once, then one every ``refill_s``."""

    burst: int = 10
    refill_s: float = 6.0
    clock: Callable[[], float] = time.monotonic
    addresses: int = 4096
    """Most addresses remembered; the longest unseen are forgotten first."""
    _spent: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait_s(self, address: str) -> float:
        """Seconds until ``address`` may guess again; 0 when it may now."""
        return max(0.0, (self._now_spent(address) - self.burst + 1) * self.refill_s)

    def wrong(self, address: str) -> None:
        self._spent[address] = (self._now_spent(address) + 1, self.clock())
        self._spent.move_to_end(address)
        while len(self._spent) > self.addresses:
            self._spent.popitem(last=False)

    def _now_spent(self, address: str) -> float:
        spent, when = self._spent.get(address, (0.0, 0.0))
        return max(0.0, spent - (self.clock() - when) / self.refill_s)


class OpenPaths:
    """Paths that are answered without login: what extensions made for people who got a link of their own."""

    _PREFIX = re.compile(r"/ext/[a-z][a-z0-9_]*/(?:[A-Za-z0-9_-]+/)+")

    def __init__(self) -> None:
        self._prefixes: tuple[str, ...] = ()

    def add(self, prefix: str) -> None:
        """Raises ValueError for what is not inside an extension's own path."""
        if not self._PREFIX.fullmatch(prefix):
            raise ValueError(f"expected a path such as /ext/<id>/<name>/, with its last slash, got {prefix!r}")
        self._prefixes = (*self._prefixes, prefix)

    def has(self, path: str) -> bool:
        """Whether ``path`` is one; a path with steps upwards or empty steps never is, whoever would resolve them."""
        if not path.startswith(self._prefixes or ("\0",)) or "\\" in path:
            return False
        return not {"", ".", ".."}.intersection(path.split("/")[1:-1]) and path.rpartition("/")[2] not in (".", "..")
