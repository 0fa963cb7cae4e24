"""Principals that were let in a moment ago, so that a thousand frames ask the database once.

A principal is known for a few seconds at most, never beyond its own end, and only while this
process hears from the database of every change of rights: the triggers of migration 0007 tell of
each when it commits, and then all are forgotten.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pacs.people.secrets import secret_hash

if TYPE_CHECKING:
    from viewer_api.access import Principal

KNOWN_SECONDS = 10.0
_MOST = 1000


class KnownPrincipals:
    """The principals by the secrets that they showed. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._hears = False
        self._turn = 0

    def find(self, secret: str) -> Principal | None:
        """Whoever showed this secret a moment ago."""
        with self._lock:
            entry = self._known.get(secret_hash(secret))
        if entry is None or entry[1] <= self._clock():
            return None
        return entry[0]

    def turn(self) -> int:
        """What `keep` wants to hear: taken before the database is asked."""
        with self._lock:
            return self._turn

    def keep(self, secret: str, principal: Principal, end: datetime | None, turn: int) -> None:
        """Know the principal for a moment, unless rights have changed since `turn` was taken."""
        seconds = KNOWN_SECONDS
        if end is not None:
            seconds = min(seconds, (end - datetime.now(UTC)).total_seconds())
        with self._lock:
            if not self._hears or turn != self._turn:
                return
            self._known[secret_hash(secret)] = principal, self._clock() + seconds
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def forget(self) -> None:
        """Rights have changed: ask the database again."""
        with self._lock:
            self._turn += 1
            self._known.clear()

    def listening(self, hears: bool) -> None:
        """Whether changes of rights are heard of; while they are not, nobody is known."""
        with self._lock:
            self._hears = hears
        self.forget()
