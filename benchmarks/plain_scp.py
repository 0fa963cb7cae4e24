"""A plain pynetdicom storage SCP that writes files: `python -m benchmarks.plain_scp PORT FOLDER`.

Written the way pynetdicom's documentation shows it: bytes are kept as received, without decoding.
"""

import signal
import socket
import sys
import threading
from pathlib import Path

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AllStoragePresentationContexts, evt
from pynetdicom.ae import ApplicationEntity

AET = "PYNETDICOM"


def main(port: int, folder: Path) -> None:
    """Listen on 127.0.0.1 until SIGTERM or SIGINT."""
    ae = ApplicationEntity(AET)
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, AllTransferSyntaxes)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    handlers = [(evt.EVT_CONN_OPEN, _without_delay), (evt.EVT_C_STORE, _store, [folder])]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    stop.wait()
    if server is not None:
        server.shutdown()


def _without_delay(event: evt.Event) -> None:
    """What TCP_NODELAY=1 does for the servers built on DCMTK."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _store(event: evt.Event, folder: Path) -> int:
    uid = event.request.AffectedSOPInstanceUID
    (folder / f"{uid}.dcm").write_bytes(event.encoded_dataset())
    return 0x0000


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
