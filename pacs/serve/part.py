"""One part of the product, in a process of its own: `python -m pacs.serve.part NAME`.

The supervisor writes one line of JSON to its standard input (settings, and the database's URL,
which holds a password and so is no argument) and keeps that pipe open: when it closes, the
supervisor is gone and the part ends too. The part says that it works by a line on the
descriptor that is its second argument.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from pacs.archive import Archive, open_archive
from pacs.database.lock import FolderLock
from pacs.errors import PacsError
from pacs.logs import configure_logs
from pacs.serve.parts import PARTS_LOCK
from pacs.settings import Settings
from storage.errors import StoreError

if TYPE_CHECKING:
    from pacs.worker import Register

_GRACE_SECONDS = 20.0
_AI_PACKAGES = ("torch", "monai", "highdicom")

log = logging.getLogger(__name__)


def main(name: str, ready_descriptor: int) -> int:
    """Run one part until SIGTERM, or until the supervisor dies."""
    configure_logs(name)
    order = orjson.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_supervisor, name="lifeline", daemon=True).start()

    said = threading.Event()

    def ready(_address: str) -> None:
        if not said.is_set():  # a worker says it after each reconnection
            said.set()
            # What was imported stays; to look through it for garbage would stop us for 30 ms.
            gc.collect()
            gc.freeze()
            os.write(ready_descriptor, b"ready\n")
            os.close(ready_descriptor)

    settings = Settings(**order["settings"])
    try:
        running = FolderLock(settings.data_dir, PARTS_LOCK)
        running.acquire(log.info, shared=True)
        with open_archive(settings, order["database_url"]) as archive:
            _run(name, archive, order["receiver"], ready)
    except (PacsError, StoreError) as error:
        log.error("%s", error)
        return 1
    return 0


def _run(
    name: str, archive: Archive, receiver: Mapping[str, Any], ready: Callable[[str], None]
) -> None:
    settings = archive.settings
    if name == "dicom":
        from dicom_node.server import run as run_dicom
        from pacs.serve.receivers import doors_and_slots

        doors, slots = doors_and_slots(settings, receiver)
        run_dicom(archive, doors, slots, ready)
    elif name == "api":
        from viewer_api.server import run as run_api

        run_api(archive, settings.host, settings.http_port, ready)
    else:
        _run_worker(archive, ready)


def _run_worker(archive: Archive, ready: Callable[[str], None]) -> None:
    from dicom_node.worker import register as commitments
    from pacs.worker import Rooms, run_worker

    run_worker(archive, ready, Rooms((commitments,), _triage(archive.settings)))


def _triage(settings: Settings) -> Register | None:
    """What adds the AI's tasks to a worker, where this machine has what they need."""
    if not settings.ai:
        log.info("no triage on this machine, as set (PACS_AI)")
        return None
    missing = [name for name in _AI_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        log.warning(
            "no triage on this machine: %s is not installed (pip install 'filmless[ai]')",
            ", ".join(missing),
        )
        return None
    from ai_models.worker import register

    return register


def _end_with_supervisor() -> None:
    """Wait for the end of the pipe from the supervisor, then stop as if it had said so."""
    # Not through sys.stdin: its lock, held here, would make the interpreter's end a crash.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
