"""Coverage-guided fuzzing of the PDU reader, over real connections; no part of the test run.

    pip install atheris
    python tests/dicom_node/fuzz_pdus.py NEW_FOLDER tests/dicom_node/corpus -max_total_time=600

What it finds worth keeping lies in NEW_FOLDER; a crash that has been mended goes into the corpus
as a file *.pdus, where test_fuzz.py says it again for ever.
"""

import socket
import struct
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["dicom_node"]):
    from dicom_node.errors import AssociationAborted
    from dicom_node.negotiation import negotiate
    from dicom_node.upper_layer.acceptor import accept
    from dicom_node.upper_layer.connection import Connection
    from dicom_node.upper_layer.timeouts import Timeouts
    from tests.plugins.bare_peer import echo

QUICK = Timeouts(associate=1, idle=1, stalled=1, release=1, close=0.1)
NO_TIME_WAIT = struct.pack("ii", 1, 0)

listening = socket.create_server(("127.0.0.1", 0))


def say(words: bytes) -> None:
    """Say it all, close our half of the connection; the acceptor must end without an error."""
    with socket.create_connection(listening.getsockname()) as theirs:
        ours, _ = listening.accept()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_TIME_WAIT)
        theirs.sendall(words[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        try:
            association = accept(Connection(ours, QUICK, ("127.0.0.1", 1)), negotiate)
            try:
                echo(association)
            finally:
                association.abort()
        except AssociationAborted:
            return


atheris.Setup(sys.argv, say)
atheris.Fuzz()
