"""Why an object cannot enter the archive. Each names the object where that much could be read."""

from pacs.errors import PacsError


class IngestError(PacsError):
    """An object that is refused; its neighbours are not concerned."""

    def __init__(self, reason: str, sop_instance_uid: str | None = None) -> None:
        super().__init__(f"{sop_instance_uid}: {reason}" if sop_instance_uid else reason)
        self.reason = reason
        self.sop_instance_uid = sop_instance_uid


class NotDicom(IngestError):
    """The bytes are no DICOM file (PS3.10 7.1) or no data set of their transfer syntax."""


class Truncated(IngestError):
    """The data set ends before it says that it does."""


class MissingAttribute(IngestError):
    """An attribute without which an object has no place in the archive."""

    def __init__(self, tag: str, name: str, sop_instance_uid: str | None = None) -> None:
        super().__init__(f"({tag[:4]},{tag[4:]}) {name} is missing or empty", sop_instance_uid)
        self.tag = tag


class InvalidUid(IngestError):
    """A UID that is not made of 1 to 64 digits and dots (PS3.5 9.1)."""

    def __init__(self, tag: str, name: str, sop_instance_uid: str | None = None) -> None:
        super().__init__(f"({tag[:4]},{tag[4:]}) {name} is not a UID", sop_instance_uid)
        self.tag = tag


class TooLarge(IngestError):
    """The object is larger than this archive takes (`max_object_bytes`)."""


class OtherStudy(IngestError):
    """An object of another study than the one that its sender named beforehand."""


class NotAsAnnounced(IngestError):
    """An object whose SOP class or instance is another than its sender announced."""
