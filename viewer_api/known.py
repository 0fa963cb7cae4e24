"""What the database said a moment ago, so that a thousand frames do not ask it a thousand times.

Something is known for a few seconds at most, and only while this process hears from the database
of everything that may no longer be seen: triggers (pacs.withdrawal) tell of each right that is
taken away and each instance that is replaced or rejected, when it commits, and then all is
forgotten. What was asked before and is answered after is not kept: `turn` sees to that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Generic, TypeVar

KNOWN_SECONDS = 10.0

Value = TypeVar("Value")


class Known(Generic[Value]):
    """Values by key, at most so many, the oldest dropped first. Thread-safe."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, tuple[Value, float]] = OrderedDict()
        self._hears = False
        self._turn = 0

    def find(self, key: Hashable) -> Value | None:
        """The value, if it was kept a moment ago."""
        entry = self._known.get(key)
        if entry is None or entry[1] <= self._clock():
            return None
        return entry[0]

    def turn(self) -> int:
        """What `keep` wants to hear: taken before the database is asked."""
        with self._lock:
            return self._turn

    def keep(self, key: Hashable, value: Value, turn: int, end: datetime | None = None) -> None:
        """Know it for a moment, not beyond `end`; not if something was withdrawn since `turn`."""
        seconds = KNOWN_SECONDS
        if end is not None:
            seconds = min(seconds, (end - datetime.now(UTC)).total_seconds())
        with self._lock:
            if not self._hears or turn != self._turn:
                return
            self._known[key] = value, self._clock() + seconds
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def forget(self) -> None:
        """Something was withdrawn: ask the database again."""
        with self._lock:
            self._turn += 1
            self._known.clear()

    def listening(self, *, hears: bool) -> None:
        """Whether withdrawals are heard of; while they are not, nothing is known."""
        with self._lock:
            self._hears = hears
        self.forget()
