"""Who holds which weights, shared or alone, and who waits for whom. Plain tables: the cache guards them by its lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass
class LeaseTable(Generic[K]):
    """Leases by thread. A thread never blocks itself: leases of one thread nest."""

    _shared: dict[K, Counter[int]] = field(default_factory=dict)
    _alone: dict[K, Counter[int]] = field(default_factory=dict)
    _waiting: dict[int, frozenset[int]] = field(default_factory=dict)

    def take(self, keys: Iterable[K], thread: int, *, exclusive: bool) -> None:
        """Note a lease that ``blockers`` found nothing against."""
        for key in keys:
            self._shared.setdefault(key, Counter())[thread] += 1
            if exclusive:
                self._alone.setdefault(key, Counter())[thread] += 1

    def give_back(self, keys: Iterable[K], thread: int, *, exclusive: bool) -> None:
        """Balance ``take``."""
        for key in keys:
            _less(self._shared, key, thread)
            if exclusive:
                _less(self._alone, key, thread)

    def blockers(self, keys: Iterable[K], thread: int, *, exclusive: bool) -> frozenset[int]:
        """Threads whose leases stand against one on ``keys``."""
        table = self._shared if exclusive else self._alone
        return frozenset(other for key in keys for other in table.get(key, ())) - {thread}

    def others(self, thread: int) -> frozenset[int]:
        """All threads that hold anything, save this one."""
        return frozenset(other for holders in self._shared.values() for other in holders) - {thread}

    def wait(self, thread: int, blockers: frozenset[int]) -> None:
        self._waiting[thread] = blockers

    def done_waiting(self, thread: int) -> None:
        self._waiting.pop(thread, None)

    def endless(self, blockers: frozenset[int], thread: int) -> bool:
        """Whether all ways lead back: one of ``blockers`` waits, directly or through others, for ``thread``."""
        seen: set[int] = set()
        ahead = list(blockers)
        while ahead:
            other = ahead.pop()
            if other == thread:
                return True
            if other not in seen:
                seen.add(other)
                ahead += self._waiting.get(other, ())
        return False


def _less(table: dict[K, Counter[int]], key: K, thread: int) -> None:
    holders = table[key]
    holders[thread] -= 1
    if holders[thread] <= 0:
        del holders[thread]
    if not holders:
        del table[key]
