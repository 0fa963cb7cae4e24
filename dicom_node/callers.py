"""Who may associate: known devices, and programs on this machine."""

import threading
import time

import sqlalchemy

from dicom_node.upper_layer.proposal import (
    BY_PRESENTATION,
    BY_USER,
    PERMANENT,
    TRANSIENT,
    Rejection,
)
from pacs import devices
from pacs.database.errors import DatabaseError
from pacs.devices import Device

SECONDS_REMEMBERED = 5.0
_MOST_REMEMBERED = 1000

UNKNOWN_CALLER = Rejection(
    PERMANENT, BY_USER, 3, "it is not a known device (pacs devices add), or calls from elsewhere"
)
PAUSED = Rejection(TRANSIENT, BY_PRESENTATION, 1, "the device is paused (pacs devices)")
DATABASE_DOWN = Rejection(
    TRANSIENT, BY_PRESENTATION, 1, "the database cannot say now whether it is known"
)


class Callers:
    """Decides on callers by the devices table; what it says is remembered for seconds only, so
    that a change of the table takes hold by itself."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._remembered: dict[tuple[str, str], tuple[Device | None, float]] = {}

    def admit(self, aet: str, address: str) -> Device | Rejection | None:
        """The device that calls by this AE title from this IP address; None: a program of this
        machine that is no known device."""
        is_ours = devices.is_this_machine(address)
        try:
            device = self._find(aet, address)
        except (DatabaseError, sqlalchemy.exc.DBAPIError):
            return None if is_ours else DATABASE_DOWN
        if device is None:
            return None if is_ours else UNKNOWN_CALLER
        return PAUSED if device.paused else device

    def _find(self, aet: str, address: str) -> Device | None:
        now = time.monotonic()
        with self._lock:
            device, until = self._remembered.get((aet, address), (None, 0.0))
        if now < until:
            return device
        with self._engine.connect() as connection:
            device = devices.find(connection, aet, address)
        with self._lock:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[aet, address] = (device, now + SECONDS_REMEMBERED)
        return device
