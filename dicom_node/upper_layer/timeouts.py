"""How long we wait for a peer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; a peer that exceeds one loses its association."""

    connect: float = 10.0
    """For the transport connection, and for the TLS handshake on it."""
    associate: float = 30.0
    """ARTIM (PS3.8 9.1.5) while an A-ASSOCIATE-RQ or its answer is awaited."""
    idle: float = 60.0
    """Without a byte from the peer while the next message is awaited."""
    stalled: float = 60.0
    """Without a byte in the middle of a message; and after so long, a message must have come, or
    gone, at `SLOWEST_BYTES_A_SECOND` at least."""
    release: float = 10.0
    """For the answer to our A-RELEASE-RQ."""
    close: float = 2.0
    """ARTIM while we only wait for the peer to close the connection (Sta13)."""


SLOWEST_BYTES_A_SECOND = 1024
