"""What was lately looked at, kept in this process within a bound."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Values by key, those longest unused dropped first. Safe for many threads.

    `capacity` bounds the sum of what the values are said to cost. A value that never changes is
    all that may be kept here: nobody is told when the world behind it does.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._used = 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._making: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value, which is then the latest used; None where it is not kept."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def keep(self, key: Hashable, value: Value, cost: int) -> None:
        """Keep the value, unless it alone would cost over half of what there is."""
        if cost > self._capacity // 2:
            return
        with self._lock:
            self._used += cost - self._values.pop(key, (None, 0))[1]
            self._values[key] = value, cost
            while self._used > self._capacity:
                self._used -= self._values.popitem(last=False)[1][1]

    def get_or(self, key: Hashable, make: Callable[[], tuple[Value, int]]) -> Value:
        """The value, made (with what it costs) where it is not kept; by one, while others wait."""
        found = self.get(key)
        if found is not None:
            return found
        with self._lock:
            turn = self._making.setdefault(key, Lock())
        try:
            with turn:
                found = self.get(key)
                if found is None:
                    found, cost = make()
                    self.keep(key, found, cost)
                return found
        finally:
            with self._lock:
                self._making.pop(key, None)
