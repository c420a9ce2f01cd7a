"""Below the rater's routes: how often someone may ask, without knowing who it is."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Buckets:
    """A bucket for each key: ``burst`` at once, then ``per_second``. The longest unseen of too many are forgotten.

    ``_lock`` guards the buckets; nothing else is taken under it.
    """

    def __init__(
        self, burst: float, per_second: float, *, keys: int = 4096, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._rate, self._keys, self._clock = burst, per_second, keys, clock
        self._lock = threading.Lock()
        self._spent: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: Hashable) -> float:
        """0 and one taken; or how many seconds until there is one."""
        now = self._clock()
        with self._lock:
            spent, when = self._spent.pop(key, (0.0, now))
            spent = max(0.0, spent - (now - when) * self._rate)
            wait = max(0.0, (spent + 1 - self._burst) / self._rate)
            self._spent[key] = (spent if wait else spent + 1, now)
            while len(self._spent) > self._keys:
                self._spent.popitem(last=False)
        return wait
