"""What keeps the modality's door from opening, or what we send from arriving."""

from pathlib import Path

from pacs.errors import PacsError


class DicomNodeError(PacsError):
    """Something on the DICOM side that could not be done, in one sentence to act on."""


class AddressUnavailable(DicomNodeError):
    """The address to listen on cannot be had: in use, or not this machine's."""


class PeerUnavailable(DicomNodeError):
    """A peer does not answer, refuses the association, or broke it off."""


class NotSendable(DicomNodeError):
    """A file that cannot be sent as it is."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file


class ObjectRefused(DicomNodeError):
    """The peer's answer to an object was neither success nor a warning (PS3.4 B.2.3)."""

    def __init__(self, file: Path, status: int, comment: str) -> None:
        super().__init__(f"{file}: refused with status 0x{status:04X} {comment}".rstrip())
        self.file = file
        self.status = status
        self.comment = comment


class ProtocolError(DicomNodeError):
    """The peer does not keep to PS3.7 or PS3.8; the association cannot go on."""

    def __init__(self, reason: str, provider_reason: int = 0x06) -> None:
        super().__init__(reason)
        self.provider_reason = provider_reason
        """Reason/Diag. of the A-ABORT that this asks for (PS3.8 9.3.8)."""


class AssociationAborted(PeerUnavailable):
    """The association is over before it was released: the peer aborted, fell silent or went, or we
    have aborted it."""


class AssociationRejected(PeerUnavailable):
    """The peer has answered by A-ASSOCIATE-RJ (PS3.8 9.3.4)."""

    def __init__(self, message: str, result: int, source: int, reason: int) -> None:
        super().__init__(message)
        self.result = result
        self.source = source
        self.reason = reason

    @property
    def is_transient(self) -> bool:
        """Whether trying again later makes sense."""
        return self.result == 2
