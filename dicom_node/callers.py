"""Who may associate: known devices, and programs on this machine."""

import threading
import time
from dataclasses import dataclass

import sqlalchemy

from pacs import devices
from pacs.database.errors import DatabaseError

SECONDS_REMEMBERED = 5.0
_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Refusal:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4): result, source, reason, and what we say in the log."""

    result: int
    source: int
    diagnostic: int
    reason: str


UNKNOWN_CALLER = Refusal(
    0x01, 0x01, 0x03, "it is not a known device (pacs devices add), or calls from elsewhere"
)
DATABASE_DOWN = Refusal(0x02, 0x03, 0x01, "the database cannot say now whether it is known")


class Callers:
    """Decides on callers by the devices table; decisions are remembered for seconds only, so that
    a change of the table takes hold by itself."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._decisions: dict[tuple[str, str], tuple[bool, float]] = {}

    def refusal(self, aet: str, address: str) -> Refusal | None:
        """Why this AE title calling from this IP address is refused; None: it may associate."""
        if devices.is_this_machine(address):
            return None
        try:
            return None if self._is_known(aet, address) else UNKNOWN_CALLER
        except (DatabaseError, sqlalchemy.exc.DBAPIError):
            return DATABASE_DOWN

    def _is_known(self, aet: str, address: str) -> bool:
        now = time.monotonic()
        with self._lock:
            known, until = self._decisions.get((aet, address), (False, 0.0))
        if now < until:
            return known
        with self._engine.connect() as connection:
            known = devices.is_known(connection, aet, address)
        with self._lock:
            if len(self._decisions) >= _MOST_REMEMBERED:
                self._decisions.clear()
            self._decisions[aet, address] = (known, now + SECONDS_REMEMBERED)
        return known
