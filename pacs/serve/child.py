"""A part's process as the supervisor sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from pacs.serve.parts import PartName
from pacs.settings import Settings

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0


class Child:
    """One part: started, watched, started again after growing pauses when it dies."""

    def __init__(
        self,
        name: PartName,
        settings: Settings,
        database_url: str,
        *,
        receiver: Mapping[str, Any] | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """`receiver`: what one of several receivers of DICOM is told; `descriptors`: what its
        process inherits."""
        self.name = name
        self.deaths_in_a_row = 0
        self._order = orjson.dumps(
            {
                "settings": settings.model_dump(mode="json"),
                "database_url": database_url,
                "receiver": receiver,
            }
        )
        self._descriptors = descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()
        self._started = 0.0
        self._next_start = 0.0

    @property
    def ready(self) -> bool:
        """Whether the process of now has said that it works."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The number of the process of now."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process; returns at once."""
        self._ready = threading.Event()
        self._started = time.monotonic()
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "pacs.serve.part", self.name, str(write_end)],
                stdin=subprocess.PIPE,
                stdout=sys.stderr,  # our own standard output carries the line `ready` only
                pass_fds=[write_end, *self._descriptors],
                start_new_session=True,  # Ctrl-C is for the supervisor
            )
        finally:
            os.close(write_end)
        threading.Thread(
            target=_set_when_told, args=(read_end, self._ready), name=f"ready-{self.name}"
        ).start()
        if self._process.stdin is not None:
            try:
                self._process.stdin.write(self._order + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                return  # it died already; `tend` sees that

    def tend(self) -> str | None:
        """Start the process again when it has died and its pause is over.

        Returns a sentence when it is found dead.
        """
        if self._process is None:
            if time.monotonic() >= self._next_start:
                self.start()
            return None
        status = self._process.poll()
        if status is None:
            return None
        lived = time.monotonic() - self._started
        self._forget()
        self.deaths_in_a_row = 1 if lived > _STEADY_SECONDS else self.deaths_in_a_row + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self.deaths_in_a_row - 1))
        self._next_start = time.monotonic() + pause
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return f"{self.name} ended {how}; starting it again in {pause:g} s"

    def ask_to_stop(self) -> None:
        """Let the part finish what is in flight and end."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> bool:
        """Wait for the end, by force when `seconds` are over; whether it ended by itself."""
        if self._process is None:
            return True
        by_itself = True
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            by_itself = False
            self._process.kill()
            self._process.wait()
        self._forget()
        return by_itself

    def _forget(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process = None
        self._ready = threading.Event()


def _set_when_told(descriptor: int, event: threading.Event) -> None:
    with os.fdopen(descriptor, "rb") as pipe:
        if pipe.readline():
            event.set()
