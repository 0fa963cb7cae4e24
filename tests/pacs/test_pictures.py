"""Pictures: the part that is asked for, the values as PS3.3 C.11 has them, and what cannot be."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import UID, ExplicitVRLittleEndian, HTJ2KLosslessRPCL, generate_uid

from pacs import retrieve
from pacs.archive import Archive
from pacs.dicom.codecs import UndecodableFrame
from pacs.dicom.rendering import Window
from pacs.dicom.scaling import View, cropped, fitted, scale_values
from pacs.ingest import Source
from pacs.pictures import Look, rendered
from pacs.retrieve import StoredInstance

MODALITY = Source("dimse", "CR1", "127.0.0.1")
RAMP = np.arange(64, dtype=np.uint16).reshape(8, 8) * 16


def put(archive: Archive, dataset: FileDataset) -> StoredInstance:
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    file = io.BytesIO()
    dataset.save_as(file)
    received = archive.ingest.receive([file.getvalue()], MODALITY)
    with archive.engine.connect() as connection:
        return retrieve.find_instance(connection, received.sop_instance_uid)


@pytest.fixture
def image(real_file: Callable[[str], Path]) -> Iterator[Callable[..., FileDataset]]:
    """Makes an image of 12 bits from an array; keywords set (or, None, delete) attributes."""

    def make(array: NDArray[Any] = RAMP, **attributes: object) -> FileDataset:
        dataset = pydicom.dcmread(real_file("RG3_UNCR.dcm"), stop_before_pixels=True)
        for keyword in ("WindowCenter", "WindowWidth", "PixelSpacing", "ImagerPixelSpacing"):
            if keyword in dataset:
                delattr(dataset, keyword)
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.Rows, dataset.Columns = array.shape[-2:] if array.ndim == 2 else array.shape[1:3]
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = array.dtype.itemsize * 8
        dataset.BitsStored = min(12, dataset.BitsAllocated)
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(array.dtype.kind == "i")
        dataset.PixelData = array.tobytes()
        dataset["PixelData"].VR = "OW"
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        return dataset

    yield make


def shown(archive: Archive, stored: StoredInstance, number: int = 1, **look: Any) -> NDArray[Any]:
    picture = rendered(archive, stored, number, Look("image/png", **look))
    return np.asarray(Image.open(io.BytesIO(picture)))


def test_a_region_at_its_size_and_turned(
    archive: Archive, image: Callable[..., FileDataset]
) -> None:
    stored = put(archive, image())
    whole = shown(archive, stored)
    assert (whole[0, 0], whole[-1, -1]) == (0, 255)
    part = shown(archive, stored, view=View((4, 2), (2, 4, 4, 2)))
    np.testing.assert_array_equal(part, whole[4:6, 2:6])
    for mirrored in (False, True):
        for upside_down in (False, True):
            view = View((8, 8), mirrored=mirrored, upside_down=upside_down)
            expected = whole[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
            np.testing.assert_array_equal(shown(archive, stored, view=view), expected)
    assert shown(archive, stored, view=View((32, 40), enlarge=True)).shape == (32, 32)
    assert shown(archive, stored, view=View((32, 40))).shape == (8, 8)
    over = shown(archive, stored, view=View((8, 8), (6.0, 6.0, 100.0, 100.0)))
    np.testing.assert_array_equal(over, whole[6:, 6:])


@pytest.mark.parametrize(
    ("function", "keyword"),
    [("linear", "LINEAR"), ("linear-exact", "LINEAR_EXACT"), ("sigmoid", "SIGMOID")],
)
def test_windows_are_those_of_the_standard(
    archive: Archive, image: Callable[..., FileDataset], function: Any, keyword: str
) -> None:
    array = np.arange(-32, 32, dtype=np.int16).reshape(8, 8) * 30
    attributes = {"RescaleSlope": 2, "RescaleIntercept": -100}
    stored = put(archive, image(array, **attributes))
    found = shown(archive, stored, window=Window(-50, 700, function))
    values = array * 2.0 - 100
    if keyword == "SIGMOID":
        expected = 255 / (1 + np.exp(-4 * (values + 50) / 700))
    else:
        # pydicom scales to the range of its own output; only its shape is asked.
        header = Dataset()
        header.PhotometricInterpretation = "MONOCHROME2"
        header.BitsStored, header.PixelRepresentation = 16, 1
        header.WindowCenter, header.WindowWidth, header.VOILUTFunction = -50, 700, keyword
        looked = apply_windowing(values, header)
        expected = (looked - looked.min()) / (looked.max() - looked.min()) * 255
    assert np.abs(found.astype(float) - expected).max() <= 1.01
    # The same, where the object says so itself.
    own = {"WindowCenter": -50, "WindowWidth": 700, "VOILUTFunction": keyword}
    np.testing.assert_array_equal(
        shown(archive, put(archive, image(array, **attributes, **own))), found
    )


def test_padding_is_no_part_of_the_range(
    archive: Archive, image: Callable[..., FileDataset]
) -> None:
    array = (RAMP + 1000).astype(np.int16)
    array[0, 0] = -2000
    dataset = image(array)
    dataset.add_new(0x00280120, "SS", -2000)
    found = shown(archive, put(archive, dataset))
    assert (found[0, 0], found[0, 1], found[-1, -1]) == (0, 0, 255)
    assert found[4, 0] > 100


def test_rubbish_in_the_unused_bits_is_not_shown(
    archive: Archive, image: Callable[..., FileDataset]
) -> None:
    overlay = RAMP.copy()
    overlay[::2, ::3] |= 0xA000
    np.testing.assert_array_equal(
        shown(archive, put(archive, image(overlay))), shown(archive, put(archive, image()))
    )


def test_pixels_that_are_no_squares(archive: Archive, image: Callable[..., FileDataset]) -> None:
    stored = put(archive, image(PixelAspectRatio=[2, 1]))
    assert shown(archive, stored).shape == (16, 8)
    assert shown(archive, stored, view=View((8, 8))).shape == (8, 4)
    assert shown(archive, put(archive, image(PixelSpacing=[0.5, 1.0]))).shape == (8, 16)


def test_each_frame_has_its_own_groups(archive: Archive, image: Callable[..., FileDataset]) -> None:
    def group(keyword: str, **attributes: object) -> Dataset:
        item, inner = Dataset(), Dataset()
        for name, value in attributes.items():
            setattr(inner, name, value)
        setattr(item, keyword, [inner])
        return item

    windows = [
        group("FrameVOILUTSequence", WindowCenter=centre, WindowWidth=100)
        for centre in (1250, 1800)
    ]
    rescaled = group(
        "PixelValueTransformationSequence", RescaleIntercept=1000, RescaleSlope=1, RescaleType="US"
    )
    dataset = image(
        np.stack([RAMP, RAMP]),
        NumberOfFrames=2,
        Rows=8,
        Columns=8,
        PerFrameFunctionalGroupsSequence=windows,
        SharedFunctionalGroupsSequence=[rescaled],
    )
    stored = put(archive, dataset)
    first, second = (shown(archive, stored, number) for number in (1, 2))
    expected = np.clip((RAMP + 1000.0 - 1250 + 0.5) / 99 + 0.5, 0, 1) * 255
    assert np.abs(first - expected).max() <= 1
    assert first.mean() > second.mean()


def test_floats_are_shown(archive: Archive, image: Callable[..., FileDataset]) -> None:
    dataset = image(BitsStored=None, HighBit=None, PixelRepresentation=None, BitsAllocated=32)
    del dataset.PixelData
    dataset.FloatPixelData = (RAMP / 7).astype(np.float32).tobytes()
    found = shown(archive, put(archive, dataset))
    assert (found[0, 0], found[-1, -1]) == (0, 255)


def test_a_small_picture_of_htj2k_decodes_no_more_than_it_shows(
    archive: Archive, image: Callable[..., FileDataset], real_file: Callable[[str], Path]
) -> None:
    original = pydicom.dcmread(real_file("RG1_UNCR.dcm"))
    array = original.pixel_array
    encoded = bytes(imagecodecs.htj2k_encode(array, reversible=True, tlm=True, resolutions=6))
    plain = put(archive, original)
    # Its last quarter, the finest detail, is missing.
    original.PixelData = encapsulate([encoded[: len(encoded) // 2]])
    original["PixelData"].VR = "OB"
    original["PixelData"].is_undefined_length = True
    original.file_meta.TransferSyntaxUID = HTJ2KLosslessRPCL
    cut = put(archive, original)
    view = View((200, 200))
    expected, found = (shown(archive, stored, view=view) for stored in (plain, cut))
    assert expected.shape == found.shape
    assert np.abs(expected.astype(float) - found).mean() < 3


def test_jpeg_2000_is_decoded_once_for_all_its_pictures(
    archive: Archive, real_file: Callable[[str], Path]
) -> None:
    plain, compressed = (
        put(archive, pydicom.dcmread(real_file(name))) for name in ("RG1_UNCR.dcm", "RG1_J2KR.dcm")
    )
    np.testing.assert_array_equal(shown(archive, plain), shown(archive, compressed))
    key = f"renditions/{compressed.object_key}/1.jph"
    assert archive.store.stat(key).size < compressed.size * 1.2
    # From now on not even the object is needed.
    archive.store.delete(compressed.object_key)
    small = [shown(archive, stored, view=View((150, 150))) for stored in (plain, compressed)]
    assert np.abs(small[0].astype(float) - small[1]).mean() < 3


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 64, b"\xff\xd8\xff rubbish", b"\xff\x4f\xff\x51"])
@pytest.mark.parametrize(
    "syntax",
    ["4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91", "4.201", "4.202", "5", "4.92"],
)
def test_pixels_that_are_none_are_said_to_be(
    archive: Archive, image: Callable[..., FileDataset], syntax: str, rubbish: bytes
) -> None:
    dataset = image()
    dataset.PixelData = encapsulate([rubbish or b"\0\0"])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2.{syntax}")
    stored = put(archive, dataset)
    for view in (View(), View((2, 2))):
        with pytest.raises(UndecodableFrame):
            rendered(archive, stored, 1, Look(view=view))


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        ("4.70", imagecodecs.ljpeg_encode),
        ("4.80", imagecodecs.jpegls_encode),
        ("4.90", imagecodecs.jpeg2k_encode),
        ("4.202", imagecodecs.htj2k_encode),
    ],
)
def test_a_stream_that_claims_more_than_its_object_is_not_decoded(
    archive: Archive, image: Callable[..., FileDataset], syntax: str, encode: Callable[..., Any]
) -> None:
    large = bytes(encode(np.zeros((3000, 3000), np.uint16)))
    dataset = image()
    dataset.PixelData = encapsulate([large])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = UID(f"1.2.840.10008.1.2.{syntax}")
    stored = put(archive, dataset)
    for view in (View(), View((2, 2))):
        with pytest.raises(UndecodableFrame, match="3000 by 3000"):
            rendered(archive, stored, 1, Look(view=view))


@pytest.mark.parametrize(
    "attributes",
    [
        {"Rows": 0},
        {"BitsStored": 0},
        {"BitsAllocated": 12},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"PhotometricInterpretation": "MAGIC"},
        {"PhotometricInterpretation": None},
        {"SamplesPerPixel": None},
        {"WindowCenter": 10, "WindowWidth": 0},
        {"WindowCenter": [], "WindowWidth": []},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"PixelAspectRatio": [0, 0]},
        {"PixelSpacing": [1e9, 1e-9]},
        {"VOILUTSequence": [Dataset()]},
        {"ModalityLUTSequence": [Dataset()]},
        {"NumberOfFrames": -1},
    ],
)
def test_attributes_that_make_no_sense_are_no_crash(
    archive: Archive, image: Callable[..., FileDataset], attributes: dict[str, Any]
) -> None:
    stored = put(archive, image(**attributes))
    try:
        assert shown(archive, stored).size
        assert shown(archive, stored, view=View((3, 3))).size
    except UndecodableFrame as refusal:
        assert stored.sop_instance_uid in str(refusal)


@hypothesis_settings(deadline=None, max_examples=150)
@given(
    st.tuples(*[st.integers(1, 40)] * 2),
    st.tuples(*[st.integers(1, 60)] * 2),
    st.tuples(*[st.floats(0, 50)] * 4),
    st.sampled_from([0.1, 0.5, 1.0, 3.0]),
    st.booleans(),
)
def test_every_view_has_a_size_within_its_own(
    shape: tuple[int, int],
    size: tuple[int, int],
    region: tuple[float, float, float, float],
    aspect: float,
    enlarge: bool,
) -> None:
    array = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    view = View(size, region, enlarge=enlarge)
    part = cropped(array, view)
    assert part.size
    width, height = fitted(view, part.shape[1], part.shape[0], aspect)
    assert 1 <= width <= max(size[0], 1)
    assert 1 <= height <= max(size[1], 1)
    for typed in (part, part.astype(np.int16) - 700, part.astype(np.float32), part * 41):
        scaled = scale_values(typed, (width, height))
        assert scaled.shape == (height, width)
        assert scaled.dtype == typed.dtype
        # However the sums were made: numbers of 64 bits are added in another way.
        np.testing.assert_allclose(
            scaled, scale_values(typed.astype(np.int64), (width, height)), atol=1
        )
        assert typed.min() <= scaled.min()
        assert scaled.max() <= typed.max()
