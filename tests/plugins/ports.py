"""Ports for servers that are stopped and started again at the same address."""

import random
import socket

_BELOW_EPHEMERAL = range(15_000, 32_000)


def free_port() -> int:
    """A port that nobody listens on and that no outgoing connection is given meanwhile.

    A port that the system chose (0) is one of those: while its server is away, a client's own end
    may take it, and the server cannot come back.
    """
    while True:
        port = random.choice(_BELOW_EPHEMERAL)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
