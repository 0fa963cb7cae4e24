"""What keeps the modality's door from opening, or our own sending from arriving."""


class DicomNodeError(Exception):
    """Something on the DICOM side that could not be done, in one sentence to act on."""


class AddressUnavailable(DicomNodeError):
    """The address to listen on cannot be had: in use, or not this machine's."""


class PeerUnavailable(DicomNodeError):
    """A peer does not answer, refuses us, or broke off in the middle."""
