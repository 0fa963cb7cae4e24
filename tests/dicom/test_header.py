"""Headers and frame positions, held against pydicom's own reading of real files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import generate_frames

from pacs.dicom import codecs
from pacs.dicom.errors import IngestError
from pacs.dicom.header import read_header
from pacs.dicom.json import to_json
from pacs.dicom.layout import join_items
from pacs.dicom.text import fold, normal

LIMIT = 1 << 30
FILES = [
    "RG1_UNCR.dcm",
    "RG1_J2KR.dcm",
    "RG3_J2KI.dcm",
    "693_UNCI.dcm",
    "JPEG-LL.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "OBXXXX1A_rle_2frame.dcm",
    "SC_rgb_16bit_2frame.dcm",
    "color3d_jpeg_baseline.dcm",
    "emri_small.dcm",
    "emri_small_RLE.dcm",
    "emri_small_jpeg_2k_lossless.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "liver.dcm",
    "gdcm-US-ALOKA-16.dcm",
    "explicit_VR-UN.dcm",
]


@pytest.mark.parametrize("name", FILES)
def test_frames_are_where_the_header_says(real_file: Callable[[str], Path], name: str) -> None:
    data = real_file(name).read_bytes()
    header = read_header(data, LIMIT)
    whole = pydicom.dcmread(real_file(name))
    assert header.number_of_frames == len(header.frames) == int(whole.get("NumberOfFrames", 1))
    offset, length = header.frames[-1]
    found = data[offset : offset + length]
    if whole.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = list(generate_frames(whole.PixelData, number_of_frames=len(header.frames)))
        assert join_items(found) == frames[-1]
    else:
        assert found == whole.PixelData[-length:] or found == whole.PixelData[-length - 1 : -1]


@pytest.mark.parametrize("name", FILES)
def test_decoded_frames_equal_pydicoms(real_file: Callable[[str], Path], name: str) -> None:
    path = real_file(name)
    data, whole = path.read_bytes(), pydicom.dcmread(path)
    header = read_header(data, LIMIT)
    attributes = pydicom.Dataset.from_json(to_json(header.dataset))
    offset, length = header.frames[0]
    frame = data[offset : offset + length]
    if whole.file_meta.TransferSyntaxUID.is_encapsulated:
        frame = next(generate_frames(whole.PixelData, number_of_frames=header.number_of_frames))
    array, _ = codecs.decode(attributes, frame, str(whole.file_meta.TransferSyntaxUID), raw=True)
    whole.pixel_array_options(raw=True, decoding_plugin=_second_opinion(whole))
    expected = whole.pixel_array
    np.testing.assert_array_equal(array, expected[0] if header.number_of_frames > 1 else expected)


def _second_opinion(whole: pydicom.Dataset) -> str:
    syntax = whole.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return ""
    if "JPEG-LS" in syntax.name:
        return "pyjpegls"
    return "pydicom" if "RLE" in syntax.name else "pylibjpeg"


@pytest.mark.parametrize("name", ["OBXXXX1A_expb_2frame.dcm", "emri_small_big_endian.dcm"])
def test_big_endian_frames_are_no_ranges(real_file: Callable[[str], Path], name: str) -> None:
    header = read_header(real_file(name).read_bytes(), LIMIT)
    assert header.frames == ()
    assert header.number_of_frames > 1


@pytest.mark.parametrize("name", ["RG1_J2KR.dcm", "emri_small_RLE.dcm", "SC_rgb.dcm"])
def test_every_cut_is_noticed(real_file: Callable[[str], Path], name: str) -> None:
    data = real_file(name).read_bytes()
    lengths = {*range(0, 2000, 37), *range(2000, len(data) - 16, max(1, len(data) // 40))}
    for length in sorted(length for length in lengths if length < len(data) - 16):
        try:
            header = read_header(data[:length], LIMIT)
        except IngestError:
            continue
        # A cut between two top-level elements can only be seen by what is missing then.
        assert header.number_of_frames == 0


@given(st.binary(max_size=600), st.booleans())
def test_garbage_is_refused_and_nothing_else(garbage: bytes, framed: bool) -> None:
    meta = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    data = b"\0" * 128 + b"DICM" + meta + garbage if framed else garbage
    try:
        read_header(data, LIMIT)
    except IngestError as error:
        assert str(error)


@given(st.text(max_size=80))
def test_folding_is_idempotent_and_ignores_normal_form(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(normal(text)) == fold(text)


def test_folding_vietnamese() -> None:
    assert fold("NGUYỄN^THỊ^HOÀ") == fold("nguyen thi hoa") == "nguyen thi hoa"
    assert fold("Đặng^Ngọc Ánh") == "dang ngoc anh"


def test_json_leaves_pixels_out(real_file: Callable[[str], Path]) -> None:
    header = read_header(real_file("RG1_UNCR.dcm").read_bytes(), LIMIT)
    model = to_json(header.dataset)
    assert "7FE00010" not in model
    assert model["00080060"] == {"vr": "CS", "Value": ["CR"]}
    assert model["00280010"]["Value"] == [header.dataset.integer(0x00280010)]
