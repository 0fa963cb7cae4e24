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
