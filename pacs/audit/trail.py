"""Recording reads without slowing them: one row per actor, study and action in five minutes."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine

from pacs.audit.events import Outcome, record

COALESCE_SECONDS = 300.0
_REMEMBERED = 20_000

_Key = tuple[str, str, Outcome, str | None, str, str]


class AuditTrail:
    """The audit of one process. Thread-safe.

    The first read of a study is on record before its first byte leaves; the next ones of the same
    actor, action and study within five minutes are the same event and touch no database, so that
    scrolling through a thousand slices is one row.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._recorded: OrderedDict[_Key, float] = OrderedDict()
        self._lock = threading.Lock()

    def record(
        self,
        actor: str,
        action: str,
        outcome: Outcome = "ok",
        *,
        study_instance_uid: str | None = None,
        detail: Mapping[str, Any] | None = None,
        address: str = "",
    ) -> None:
        """One row, committed when this returns."""
        with self._engine.begin() as connection:
            record(
                connection,
                actor,
                action,
                outcome,
                study_instance_uid=study_instance_uid,
                detail=detail,
                address=address,
            )

    def record_once(
        self,
        actor: str,
        action: str,
        outcome: Outcome = "ok",
        *,
        study_instance_uid: str | None = None,
        about: str = "",
        detail: Mapping[str, Any] | None = None,
        address: str = "",
    ) -> None:
        """Like `record`, but the same event within five minutes is recorded once.

        `about`: what, besides a study, makes it another event.
        """
        key = (actor, action, outcome, study_instance_uid, about, address)
        if not self._is_new(key):
            return
        try:
            self.record(
                actor,
                action,
                outcome,
                study_instance_uid=study_instance_uid,
                detail=detail,
                address=address,
            )
        except BaseException:
            # Not on record: the next read must try again instead of passing for recorded.
            with self._lock:
                self._recorded.pop(key, None)
            raise

    def _is_new(self, key: _Key) -> bool:
        now = self._clock()
        with self._lock:
            last = self._recorded.get(key)
            if last is not None and now - last < COALESCE_SECONDS:
                return False
            self._recorded[key] = now
            self._recorded.move_to_end(key)
            while len(self._recorded) > _REMEMBERED:
                self._recorded.popitem(last=False)
            return True
