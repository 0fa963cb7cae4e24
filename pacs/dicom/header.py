"""The header of an object: its elements, read where and when they are asked for, and its frames."""

import zlib
from dataclasses import dataclass

from pydicom.uid import DeflatedExplicitVRLittleEndian

from pacs.dicom.errors import InvalidUid, MissingAttribute, NotDicom, TooLarge, Truncated
from pacs.dicom.json import MAX_INLINE_BYTES, DataSet, dictionary_vr
from pacs.dicom.layout import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    PIXEL_DATA_TAGS,
    Buffer,
    Element,
    Encoding,
    HeadTooShort,
    PixelData,
)
from pacs.dicom.part10 import FileMeta, read_file_meta

_SOP_INSTANCE_UID = 0x00080018
_IDENTIFYING_UIDS = (
    (_SOP_INSTANCE_UID, "SOPInstanceUID"),
    (0x00080016, "SOPClassUID"),
    (0x0020000D, "StudyInstanceUID"),
    (0x0020000E, "SeriesInstanceUID"),
)
_CHARACTER_SET = 0x00080005
VIDEO_PREFIX = "1.2.840.10008.1.2.4.10"
"""Of the transfer syntaxes of MPEG-2, MPEG-4 AVC and HEVC, in one fragment or several (PS3.6 A)."""
# InstitutionName, ReferringPhysicianName, StudyDescription, SeriesDescription, PatientName,
# PatientComments.
_TEXT_TAGS = (0x00080080, 0x00080090, 0x00081030, 0x0008103E, 0x00100010, 0x00104000)
_ROWS, _COLUMNS, _SAMPLES = 0x00280010, 0x00280011, 0x00280002
_BITS_ALLOCATED, _NUMBER_OF_FRAMES, _PHOTOMETRIC = 0x00280100, 0x00280008, 0x00280004


@dataclass(frozen=True, slots=True)
class Header:
    """An object as the index sees it."""

    dataset: DataSet
    file_meta: FileMeta
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    frames: tuple[tuple[int, int], ...]
    """Offset and length in the file of each frame; of encapsulated ones with their item headers.

    One range for a video, whatever its number of frames.

    Empty where a frame is no range of the file in the byte order of today: no pixels, deflated,
    big endian, or frames that do not begin on a byte.
    """
    number_of_frames: int


def read_header(file: Buffer, max_bytes: int, size: int | None = None) -> Header:
    """The header of a Part 10 file. `max_bytes` bounds what a deflated data set may become.

    `size`: of the whole file, where `file` is only its beginning; HeadTooShort then says that more
    of it is needed. Raises NotDicom, Truncated, MissingAttribute, InvalidUid, TooLarge.
    """
    meta, data, start, end = _open(file, max_bytes, len(file) if size is None else size)
    encoding = encoding_of(meta.transfer_syntax_uid)
    elements, pixels = encoding.walk(data, start, end)
    dataset = _dataset(data, encoding, elements)
    uids = _identity(dataset)
    number_of_frames = 0
    frames: tuple[tuple[int, int], ...] = ()
    if pixels is not None:
        number_of_frames = max(1, dataset.integer(_NUMBER_OF_FRAMES) or 1)
        if pixels.fragments is not None and is_video(meta.transfer_syntax_uid):
            frames = _whole_stream(dataset, pixels)
        else:
            frames = _frames(data, dataset, pixels, number_of_frames)
        if data is not file or not encoding.little:
            frames = ()
    return Header(dataset, meta, *uids, frames, number_of_frames)


def read_attributes(file: Buffer, max_bytes: int, size: int) -> DataSet:
    """All attributes up to the pixel data; parameters and errors as of `read_header`.

    Of values too long to stand in JSON the bytes need not be in `file`.
    """
    meta, data, start, end = _open(file, max_bytes, size)
    encoding = encoding_of(meta.transfer_syntax_uid)
    elements, _ = encoding.walk(data, start, end, until_pixels=True)
    for tag, (vr, begin, stop) in elements.items():
        if stop > len(data) and tag not in PIXEL_DATA_TAGS:
            is_sequence = (vr.decode("ascii") or dictionary_vr(tag)) == "SQ"
            if is_sequence or stop - begin <= MAX_INLINE_BYTES:
                raise HeadTooShort
    return _dataset(data, encoding, elements)


def _open(file: Buffer, max_bytes: int, size: int) -> tuple[FileMeta, Buffer, int, int]:
    """The file meta information, and where the data set lies: its bytes, start and end."""
    meta = read_file_meta(file[: 1 << 20])
    if meta is None:
        if len(file) < size:
            raise HeadTooShort
        raise Truncated("the object ends inside its file meta information")
    if meta.transfer_syntax_uid != DeflatedExplicitVRLittleEndian:
        return meta, file, meta.dataset_start, size
    if len(file) < size:
        raise HeadTooShort
    inflated = inflate(file, meta.dataset_start, max_bytes)
    return meta, inflated, 0, len(inflated)


def _dataset(data: Buffer, encoding: Encoding, elements: dict[int, Element]) -> DataSet:
    dataset = DataSet(data, encoding, elements)
    if not dataset.value(_CHARACTER_SET).strip() and _is_utf8_text(dataset):
        dataset.assume_unicode()
    return dataset


_ENCODINGS = {"1.2.840.10008.1.2": IMPLICIT_LITTLE, "1.2.840.10008.1.2.2": EXPLICIT_BIG}


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How the elements of that transfer syntax are written; of unknown ones as of most."""
    return _ENCODINGS.get(transfer_syntax_uid, EXPLICIT_LITTLE)


def inflate(file: Buffer, start: int, max_bytes: int) -> bytes:
    """The deflated data set that begins at that byte. Raises NotDicom, Truncated, TooLarge."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(file[start:], max_bytes)
    except zlib.error as error:
        raise NotDicom(f"the deflated data set cannot be inflated: {error}") from error
    if inflater.unconsumed_tail:
        raise TooLarge(f"the deflated data set is larger than {max_bytes} bytes")
    if not inflater.eof:
        raise Truncated("the deflated data set ends before its end")
    return data


def _is_utf8_text(dataset: DataSet) -> bool:
    """Whether text beyond ASCII may be read as UTF-8, as senders that name no set write it."""
    text = b"".join(dataset.value(tag) for tag in _TEXT_TAGS)
    if text.isascii():
        return False
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _identity(dataset: DataSet) -> tuple[str, str, str, str]:
    """SOP class, SOP instance, study and series."""
    uids: dict[int, str] = {}
    for tag, name in _IDENTIFYING_UIDS:
        uid = dataset.text(tag)
        known = uids.get(_SOP_INSTANCE_UID)
        if not uid:
            raise MissingAttribute(f"{tag:08X}", name, known)
        if not is_uid(uid):
            raise InvalidUid(f"{tag:08X}", name, known)
        uids[tag] = uid
    return uids[0x00080016], uids[_SOP_INSTANCE_UID], uids[0x0020000D], uids[0x0020000E]


def is_uid(text: str) -> bool:
    """Whether the text can be a UID: 1 to 64 digits and dots (PS3.5 9.1), leading zeros allowed."""
    return 0 < len(text) <= 64 and not text.strip("0123456789.") and text.strip(".") == text


def is_video(transfer_syntax_uid: str) -> bool:
    """Whether pixel data are one stream of MPEG or HEVC, whose frames are not parted."""
    return transfer_syntax_uid.startswith(VIDEO_PREFIX)


def _whole_stream(dataset: DataSet, pixels: PixelData) -> tuple[tuple[int, int], ...]:
    """The one range of a video, however many frames it has (PS3.5 8.2.5 and following)."""
    assert pixels.fragments is not None  # noqa: S101 - only encapsulated pixel data comes here
    fragments = pixels.fragments[1:]
    if not fragments:
        raise Truncated("a video without a fragment", dataset.text(_SOP_INSTANCE_UID))
    return ((fragments[0][0], fragments[-1][1] - fragments[0][0]),)


def _frames(
    data: Buffer, dataset: DataSet, pixels: PixelData, number_of_frames: int
) -> tuple[tuple[int, int], ...]:
    if pixels.fragments is None:
        return _native_frames(dataset, pixels, number_of_frames)
    fragments = pixels.fragments[1:]
    if len(fragments) < number_of_frames:
        raise Truncated(
            f"{number_of_frames} frames, but only {len(fragments)} fragments of pixel data",
            dataset.text(_SOP_INSTANCE_UID),
        )
    if number_of_frames == 1:
        return ((fragments[0][0], fragments[-1][1] - fragments[0][0]),)
    if len(fragments) == number_of_frames:
        return tuple((start, end - start) for start, end in fragments)
    return _frames_by_offset_table(data, pixels, number_of_frames)


def _native_frames(
    dataset: DataSet, pixels: PixelData, number_of_frames: int
) -> tuple[tuple[int, int], ...]:
    bits = (
        max(0, dataset.integer(_ROWS) or 0)
        * max(0, dataset.integer(_COLUMNS) or 0)
        * max(0, dataset.integer(_SAMPLES) or 1)
        * max(0, dataset.integer(_BITS_ALLOCATED) or 0)
    )
    if dataset.text(_PHOTOMETRIC) == "YBR_FULL_422":
        bits = bits * 2 // 3
    length = (bits + 7) // 8
    if pixels.start + length * number_of_frames > pixels.end:
        needed = (bits * number_of_frames + 7) // 8
        if pixels.start + needed > pixels.end:
            raise Truncated(
                f"{number_of_frames} frames need {needed} bytes of pixel data, "
                f"there are {pixels.end - pixels.start}",
                dataset.text(_SOP_INSTANCE_UID),
            )
    if bits % 8 and number_of_frames > 1:
        return ()
    return tuple((pixels.start + n * length, length) for n in range(number_of_frames))


def _frames_by_offset_table(
    data: Buffer, pixels: PixelData, number_of_frames: int
) -> tuple[tuple[int, int], ...]:
    """Frames of several fragments each, by the basic offset table (PS3.5 A.4)."""
    assert pixels.fragments is not None  # noqa: S101 - only encapsulated pixel data comes here
    table_start, table_end = pixels.fragments[0]
    table = bytes(data[table_start + 8 : table_end])
    offsets = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)]
    starts = [table_end + offset for offset in offsets]
    known = {start for start, _ in pixels.fragments[1:]}
    if len(starts) != number_of_frames or not known.issuperset(starts):
        return ()
    ends = [*starts[1:], pixels.fragments[-1][1]]
    return tuple((start, end - start) for start, end in zip(starts, ends, strict=True))
