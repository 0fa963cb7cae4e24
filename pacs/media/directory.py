"""The DICOMDIR of a set of files: Basic Directory (PS3.3 F), Explicit VR Little Endian."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.charset import default_encoding
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.fileset import DIRECTORY_RECORDERS
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from pacs.media.file_set import MediaFile

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_TYPES = {
    "88.59": "KEY OBJECT DOC",
    "88": "SR DOCUMENT",
    "11": "PRESENTATION",
    "104": "ENCAP DOC",
    "9": "WAVEFORM",
    "66": "RAW DATA",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.4": "IMAGE",
    "66.5": "SURFACE",
    "67": "VALUE MAP",
    "4.2": "SPECTROSCOPY",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.8": "RT PLAN",
    "481.9": "RT TREAT RECORD",
}
# A directory must name these (type 1) where objects may leave them empty: what DCMTK's
# `dcmmkdir --invent` puts there too.
_INVENTED: dict[str, str] = {
    "PatientID": "UNKNOWN",
    "StudyDate": "19000101",
    "StudyTime": "000000",
    "StudyID": "1",
    "Modality": "OT",
    "SeriesNumber": "0",
    "InstanceNumber": "0",
    "ContentDate": "19000101",
    "ContentTime": "000000",
    "ContentLabel": "UNNAMED",
    "CompletionFlag": "PARTIAL",
    "VerificationFlag": "UNVERIFIED",
    "PresentationCreationDate": "19000101",
    "PresentationCreationTime": "000000",
    "MIMETypeOfEncapsulatedDocument": "application/octet-stream",
    "DoseSummationType": "PLAN",
    "StructureSetLabel": "UNNAMED",
    "RTPlanLabel": "UNNAMED",
}
_NEXT, _LOWER = 16, 38
"""Where the two offsets of a record stand, counted from the item's tag."""
_ITEM = 8


@dataclass(slots=True)
class _Record:
    dataset: Dataset
    lower: list[_Record] = field(default_factory=list)
    encoded: bytearray = field(default_factory=bytearray)
    offset: int = 0


def dicomdir(files: Sequence[MediaFile]) -> bytes:
    """A DICOMDIR that lists the files, which are in order of patient, study and series."""
    roots = _tree(files)
    uid = generate_uid()
    head = _head(uid)
    position = len(head)
    for record in _walk(roots):
        record.encoded = _encoded(record.dataset)
        record.offset = position
        position += len(record.encoded)
    _link(roots)
    items = b"".join(record.encoded for record in _walk(roots))
    first = roots[0].offset if roots else 0
    last = roots[-1].offset if roots else 0
    return _head(uid, first, last, len(items)) + items


def _tree(files: Sequence[MediaFile]) -> list[_Record]:
    roots: list[_Record] = []
    open_: list[tuple[str, _Record]] = []
    for file in files:
        header = _whole(file.header)
        # A study's demographics are its own: another patient begins with another ID or study.
        keys = (
            ("PATIENT", str(header.PatientID)),
            ("STUDY", file.stored.study_instance_uid),
            ("SERIES", file.stored.series_instance_uid),
        )
        for depth, (kind, key) in enumerate(keys):
            if len(open_) > depth and open_[depth][0] == key:
                continue
            del open_[depth:]
            record = _Record(_described(kind, header))
            (roots if depth == 0 else open_[-1][1].lower).append(record)
            open_.append((key, record))
        open_[-1][1].lower.append(_Record(_of_file(file, header)))
    return roots


def _whole(header: Dataset) -> Dataset:
    """The header with a value wherever a directory must have one."""
    whole = Dataset()
    whole.update(header)
    for keyword, value in _INVENTED.items():
        if keyword not in whole or whole[keyword].VM == 0 or whole[keyword].value == "":
            # Not set in place: the element is the header's too.
            whole.pop(keyword, None)
            setattr(whole, keyword, value)
    return whole


def _of_file(file: MediaFile, header: Dataset) -> Dataset:
    kind = _type_of(file.stored.sop_class_uid)
    if "ContentSequence" in header:
        # Only what modifies the title is said in a directory (PS3.3 F.5.22).
        modifiers = [
            item
            for item in header.ContentSequence
            if item.get("RelationshipType") == "HAS CONCEPT MOD"
        ]
        del header.ContentSequence
        if modifiers:
            header.ContentSequence = modifiers
    try:
        record = _described(kind, header)
    except ValueError:  # something without which its kind cannot be described
        record = _described("RAW DATA", header)
    record.ReferencedFileID = list(file.file_id)
    record.ReferencedSOPClassUIDInFile = file.stored.sop_class_uid
    record.ReferencedSOPInstanceUIDInFile = file.stored.sop_instance_uid
    record.ReferencedTransferSyntaxUIDInFile = file.stored.transfer_syntax_uid
    return record


def _type_of(sop_class_uid: str) -> str:
    if not sop_class_uid.startswith(_STORAGE):
        return "RAW DATA" if not sop_class_uid.startswith("1.2.840.10008.") else "IMAGE"
    parts = sop_class_uid.removeprefix(_STORAGE).split(".")
    return _TYPES.get(".".join(parts[:2]), _TYPES.get(parts[0], "IMAGE"))


def _described(kind: str, header: Dataset) -> Dataset:
    record = DIRECTORY_RECORDERS[kind](header)
    # Raises ValueError where the header lacks what this kind must have.
    for element in [element for element in record if element.value is None]:
        element.value = ""
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = kind
    record.SpecificCharacterSet = "ISO_IR 192"
    return record


def _encoded(record: Dataset) -> bytearray:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, record, default_encoding)
    body = buffer.getvalue()
    return bytearray(struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body)


def _link(siblings: Sequence[_Record]) -> None:
    for record, following in zip(siblings, [*siblings[1:], None], strict=False):
        if following is not None:
            struct.pack_into("<L", record.encoded, _NEXT, following.offset)
        if record.lower:
            struct.pack_into("<L", record.encoded, _LOWER, record.lower[0].offset)
        _link(record.lower)


def _walk(records: Sequence[_Record]) -> Iterator[_Record]:
    for record in records:
        yield record
        yield from _walk(record.lower)


def _head(uid: UID, first: int = 0, last: int = 0, length: int = 0) -> bytes:
    """Everything before the records: of the same length whatever it says."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=True)
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    directory = Dataset()
    directory.FileSetID = "FILMLESS"
    directory.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = first
    directory.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = last
    directory.FileSetConsistencyFlag = 0
    write_dataset(buffer, directory, default_encoding)
    buffer.write(struct.pack("<HH2sHL", 0x0004, 0x1220, b"SQ", 0, length))
    return buffer.getvalue()
