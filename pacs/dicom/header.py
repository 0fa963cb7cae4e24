"""The header of a stored object: everything but pixels, decoded, and where its frames lie."""

import io
import zlib
from dataclasses import dataclass
from mmap import mmap

import pydicom
from pydicom import Dataset, config
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from pacs.dicom.errors import InvalidUid, MissingAttribute, NotDicom, TooLarge, Truncated
from pacs.dicom.layout import Buffer, Layout, PixelData, walk
from pacs.dicom.part10 import FileMeta, read_file_meta

# Lenient reading: what modalities send is stored whether or not a value keeps to its VR, and
# pydicom's warnings about values would carry patient data into logs.
config.settings.reading_validation_mode = config.IGNORE

_IDENTIFYING_UIDS = (
    ("00080018", "SOPInstanceUID"),
    ("00080016", "SOPClassUID"),
    ("0020000D", "StudyInstanceUID"),
    ("0020000E", "SeriesInstanceUID"),
)

_TEXT_TAGS = frozenset(
    Tag(keyword)
    for keyword in (
        "InstitutionName",
        "ReferringPhysicianName",
        "StudyDescription",
        "SeriesDescription",
        "PatientName",
        "PatientComments",
    )
)


@dataclass(frozen=True)
class Header:
    """An object as the index sees it."""

    dataset: Dataset
    file_meta: FileMeta
    frames: tuple[tuple[int, int], ...]
    """Offset and length in the file of each frame; of encapsulated ones with their item headers.

    Empty where a frame is no range of the file in the byte order of today: no pixels, deflated,
    big endian, or frames that do not begin on a byte.
    """
    number_of_frames: int


def read_header(file: bytes | mmap, max_bytes: int) -> Header:
    """The header of a Part 10 file. `max_bytes` bounds what a deflated data set may become.

    Raises NotDicom, Truncated, MissingAttribute, InvalidUid, TooLarge.
    """
    head = file[: 1 << 20]
    meta = read_file_meta(head)
    if meta is None:
        raise Truncated("the object ends inside its file meta information")
    syntax = UID(meta.transfer_syntax_uid)
    if syntax == DeflatedExplicitVRLittleEndian:
        data: Buffer = _inflate(file, meta.dataset_start, max_bytes)
        start = 0
    else:
        data, start = file, meta.dataset_start
    implicit = syntax.is_implicit_VR if _is_known(syntax) else False
    little = syntax.is_little_endian if _is_known(syntax) else True
    layout = walk(data, start, implicit=implicit, little=little)
    dataset = _decode(data, layout, implicit=implicit, little=little)
    _check_identity(dataset)
    number_of_frames = _number_of_frames(dataset) if layout.pixel_data else 0
    frames: tuple[tuple[int, int], ...] = ()
    if layout.pixel_data:
        frames = _frames(data, dataset, layout.pixel_data, number_of_frames)
        if data is not file or not little:
            frames = ()
    return Header(dataset, meta, frames, number_of_frames)


def _is_known(syntax: UID) -> bool:
    return not syntax.is_private and syntax.is_transfer_syntax


def _inflate(file: bytes | mmap, start: int, max_bytes: int) -> bytes:
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


def _decode(data: Buffer, layout: Layout, *, implicit: bool, little: bool) -> Dataset:
    header = b"".join(data[start:end] for start, end in layout.header)
    try:
        dataset = pydicom.filereader.read_dataset(io.BytesIO(header), implicit, little)
        if not dataset.get("SpecificCharacterSet") and _is_utf8_text(dataset):
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.set_original_encoding(implicit, little, ["utf8"])
        dataset.decode()
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        NotImplementedError,
        EOFError,
    ) as error:
        # The cause may quote a value, and the refusal goes to the log and to the sender.
        raise NotDicom(f"the data set cannot be decoded ({type(error).__name__})") from error
    return dataset


def _is_utf8_text(dataset: Dataset) -> bool:
    """Whether text beyond ASCII may be read as UTF-8, as senders that name no set write it."""
    raw = (dataset.get_item(tag) for tag in dataset.keys() & _TEXT_TAGS)
    text = b"".join(item.value for item in raw if item and isinstance(item.value, bytes))
    if text.isascii():
        return False
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_identity(dataset: Dataset) -> None:
    sop_instance_uid = str(dataset.get("SOPInstanceUID") or "") or None
    for tag, name in _IDENTIFYING_UIDS:
        value = dataset.get(name)
        if not value:
            raise MissingAttribute(tag, name, sop_instance_uid)
        if not is_uid(str(value)):
            raise InvalidUid(tag, name, None if name == "SOPInstanceUID" else sop_instance_uid)


def is_uid(text: str) -> bool:
    """Whether the text can be a UID: 1 to 64 digits and dots (PS3.5 9.1), leading zeros allowed."""
    return 0 < len(text) <= 64 and not text.strip("0123456789.") and text.strip(".") == text


def _number_of_frames(dataset: Dataset) -> int:
    try:
        return max(1, int(dataset.get("NumberOfFrames") or 1))
    except (ValueError, TypeError):
        return 1


def _frames(
    data: Buffer, dataset: Dataset, pixels: PixelData, number_of_frames: int
) -> tuple[tuple[int, int], ...]:
    if pixels.fragments is None:
        return _native_frames(dataset, pixels, number_of_frames)
    fragments = pixels.fragments[1:]
    if len(fragments) < number_of_frames:
        raise Truncated(
            f"{number_of_frames} frames, but only {len(fragments)} fragments of pixel data",
            str(dataset.SOPInstanceUID),
        )
    if number_of_frames == 1:
        return ((fragments[0][0], fragments[-1][1] - fragments[0][0]),)
    if len(fragments) == number_of_frames:
        return tuple((start, end - start) for start, end in fragments)
    return _frames_by_offset_table(data, pixels, number_of_frames)


def _native_frames(
    dataset: Dataset, pixels: PixelData, number_of_frames: int
) -> tuple[tuple[int, int], ...]:
    bits = (
        int(dataset.get("Rows") or 0)
        * int(dataset.get("Columns") or 0)
        * int(dataset.get("SamplesPerPixel") or 1)
        * int(dataset.get("BitsAllocated") or 0)
    )
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    length = (bits + 7) // 8
    if pixels.start + length * number_of_frames > pixels.end:
        needed = (bits * number_of_frames + 7) // 8
        if pixels.start + needed > pixels.end:
            raise Truncated(
                f"{number_of_frames} frames need {needed} bytes of pixel data, "
                f"there are {pixels.end - pixels.start}",
                str(dataset.SOPInstanceUID),
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
