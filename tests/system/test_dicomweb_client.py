"""dicomweb-client, the Python client of many research tools, over every resource it knows."""

import copy
import json
from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from tests.plugins.web_archive import WebArchive, original

pytestmark = pytest.mark.system

CT, RADIOGRAPH, MULTIFRAME = "CT_small.dcm", "RG1_J2KR.dcm", "emri_small_jpeg_ls_lossless.dcm"
HTJ2K_LOSSLESS, HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"
OCTETS = "application/octet-stream"

FORMS = {
    "MR_small_implicit.dcm": "MR_small.dcm",
    "MR_small_bigendian.dcm": "MR_small.dcm",
    "MR_small_RLE.dcm": "MR_small.dcm",
    "MR_small_jp2klossless.dcm": "MR_small.dcm",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "emri_small.dcm": "emri_small.dcm",
    "emri_small_RLE.dcm": "emri_small.dcm",
    "emri_small_big_endian.dcm": "emri_small.dcm",
    "emri_small_jpeg_2k_lossless.dcm": "emri_small.dcm",
    "emri_small_jpeg_ls_lossless.dcm": "emri_small.dcm",
    "RG1_J2KR.dcm": "RG1_UNCR.dcm",
    "RG3_J2KR.dcm": "RG3_UNCR.dcm",
    "MR2_J2KR.dcm": "MR2_UNCR.dcm",
    "US1_J2KR.dcm": "US1_UNCR.dcm",
    "693_J2KR.dcm": "693_UNCR.dcm",
    "SC_rgb_rle.dcm": "SC_rgb.dcm",
    "SC_rgb_rle_2frame.dcm": "SC_rgb_2frame.dcm",
    "SC_rgb_rle_16bit.dcm": "SC_rgb_16bit.dcm",
    "SC_rgb_expb_2frame.dcm": "SC_rgb_2frame.dcm",
    "OBXXXX1A_rle_2frame.dcm": "OBXXXX1A_2frame.dcm",
    "OBXXXX1A_expb_2frame.dcm": "OBXXXX1A_2frame.dcm",
    "liver_expb_1frame.dcm": "liver_1frame.dcm",
}
"""Lossless forms of an image, and the file that has it uncompressed."""

LOSSY = (
    "JPEG-lossy.dcm",
    "JPGExtended.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "color3d_jpeg_baseline.dcm",
    "RG1_J2KI.dcm",
    "US1_J2KI.dcm",
    "JPEGLSNearLossless_16.dcm",
)

MEDIA_TYPES = {
    RLELossless: "image/dicom-rle",
    JPEGBaseline8Bit: "image/jpeg",
    JPEGExtended12Bit: "image/jpeg",
    JPEGLSLossless: "image/jls",
    JPEGLSNearLossless: "image/jls",
    JPEG2000Lossless: "image/jp2",
    JPEG2000: "image/jp2",
}
"""Of a compressed frame, as PS3.18 section 8.7.3.3 calls it."""


@pytest.fixture
def client(web_archive: WebArchive) -> DICOMwebClient:
    """The client, signed in by a token."""
    session = requests.Session()
    session.headers.update(web_archive.headers)
    return DICOMwebClient(web_archive.url, session=session)


def uids_of(image: Dataset) -> tuple[str, str, str]:
    """Of the study, the series and the instance."""
    return image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID


def frames_of(image: FileDataset) -> NDArray[np.generic]:
    """The stored values, frame by frame, decoded by pydicom; colours as they are stored."""
    array = pixel_array(image, raw=True)
    several = int(image.get("NumberOfFrames", 1)) > 1
    return array if several else array[np.newaxis]


def bytes_of(pixels: NDArray[np.generic], *, bits_allocated: int) -> bytes:
    """A frame as Explicit VR Little Endian has it; single bits are packed (PS3.5 8.1.1)."""
    if bits_allocated == 1:
        return np.packbits(pixels.astype(np.uint8), bitorder="little").tobytes()
    return pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()


def test_searches_at_every_level(web_archive: WebArchive, client: DICOMwebClient) -> None:
    study, series, instance = uids_of(web_archive.holding(CT))
    image = web_archive.holding(CT)
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": study})
    assert found["00100020"]["Value"] == [image.PatientID]
    assert found["00201208"]["Value"] == [1]
    everything = {"StudyInstanceUID": study}
    (whole,) = client.search_for_studies(fields=["all"], search_filters=everything)
    assert set(found) <= set(whole)
    by_id = client.search_for_studies(search_filters={"PatientID": image.PatientID}, limit=100)
    assert study in {one["0020000D"]["Value"][0] for one in by_id}
    fuzzy = client.search_for_studies(
        fuzzymatching=True, search_filters={"PatientName": str(image.PatientName)[:6].lower()}
    )
    assert study in {one["0020000D"]["Value"][0] for one in fuzzy}
    (found,) = client.search_for_series(study)
    assert found["00080060"]["Value"] == ["CT"]
    (found,) = client.search_for_series(search_filters={"SeriesInstanceUID": series})
    (found,) = client.search_for_instances(study)
    (found,) = client.search_for_instances(study, series, fields=["Rows", "Columns"])
    assert found["00280010"]["Value"] == [image.Rows]
    (found,) = client.search_for_instances(search_filters={"SOPInstanceUID": instance})
    assert found["00080016"]["Value"] == [image.SOPClassUID]


def test_pages_meet_and_do_not_overlap(web_archive: WebArchive, client: DICOMwebClient) -> None:
    for name in (CT, RADIOGRAPH, MULTIFRAME):
        web_archive.holding(name)
    every = [one["0020000D"]["Value"][0] for one in client.search_for_studies(limit=4000)]
    paged: list[str] = []
    while page := client.search_for_studies(limit=2, offset=len(paged)):
        paged += [one["0020000D"]["Value"][0] for one in page]
    assert paged == every
    assert len(set(every)) == len(every) >= 3


@pytest.mark.parametrize("name", [CT, RADIOGRAPH, MULTIFRAME, "test-SR.dcm", "rtplan.dcm"])
def test_what_is_retrieved_is_what_was_stored(
    name: str, web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding(name)
    study, series, instance = uids_of(image)
    syntax = image.file_meta.TransferSyntaxUID
    any_syntax = (("application/dicom", "*"),)
    whole = client.retrieve_instance(study, series, instance, media_types=any_syntax)
    assert whole.file_meta.TransferSyntaxUID == syntax
    assert whole == image
    (of_series,) = client.retrieve_series(study, series, media_types=any_syntax)
    (of_study,) = client.iter_study(study, media_types=any_syntax)
    assert of_series == of_study == image


def test_metadata_says_what_the_header_says(
    web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding("rtplan.dcm")
    study, series, instance = uids_of(image)
    (of_study,) = client.retrieve_study_metadata(study)
    (of_series,) = client.retrieve_series_metadata(study, series)
    of_instance = client.retrieve_instance_metadata(study, series, instance)
    assert of_study == of_series == of_instance
    header = Dataset.from_json(json.dumps(of_instance))
    for element in image:
        if element.VR not in ("OB", "OW", "UN") and element.tag.group != 2:
            assert header[element.tag] == element


@pytest.mark.parametrize("name", FORMS)
def test_every_lossless_form_gives_the_same_pixels(
    name: str, web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image, plain = web_archive.holding(name), original(FORMS[name])
    expected = frames_of(plain)
    numbers = [*range(1, len(expected) + 1)]
    explicit = ((OCTETS, str(ExplicitVRLittleEndian)),)
    frames = client.retrieve_instance_frames(*uids_of(image), numbers, media_types=explicit)
    assert len(frames) == len(numbers)
    for frame, pixels in zip(frames, expected, strict=True):
        said = bytes_of(pixels, bits_allocated=image.BitsAllocated)
        is_same = frame[: len(said)] == said
        assert is_same, f"{len(frame)} bytes, {len(said)} expected"  # a diff would take minutes


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in (*FORMS, *LOSSY)
        if not any(word in name for word in ("implicit", "bigendian", "big_endian", "expb"))
        and name != "emri_small.dcm"
    ],
)
def test_a_compressed_frame_comes_as_it_is_stored(
    name: str, web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding(name)
    syntax = image.file_meta.TransferSyntaxUID
    assert syntax.is_compressed
    count = int(image.get("NumberOfFrames", 1))
    stored = list(generate_frames(image.PixelData, number_of_frames=count))
    (frame,) = client.retrieve_instance_frames(
        *uids_of(image), [count], media_types=((MEDIA_TYPES[syntax], str(syntax)),)
    )
    assert frame == stored[-1]
    assert web_archive.frame(image, count, OCTETS, str(syntax)) == stored[-1]


@pytest.mark.parametrize("syntax", [HTJ2K_LOSSLESS, HTJ2K_RPCL])
def test_htj2k_on_the_way_in_loses_nothing(
    syntax: str, web_archive: WebArchive, client: DICOMwebClient
) -> None:
    plain = original("MR_small.dcm")
    image = compressed(plain, syntax)
    client.store_instances([image])
    frames = client.retrieve_instance_frames(
        *uids_of(image), [1], media_types=((OCTETS, str(ExplicitVRLittleEndian)),)
    )
    assert frames == [plain.PixelData]
    (stored,) = generate_frames(image.PixelData, number_of_frames=1)
    assert web_archive.frame(image, 1, OCTETS, syntax) == stored


def compressed(plain: FileDataset, syntax: str) -> FileDataset:
    """The same image in HTJ2K, under UIDs of its own."""
    image = copy.deepcopy(plain)
    encoded = imagecodecs.htj2k_encode(image.pixel_array, reversible=True, tlm=True, resolutions=5)
    image.PixelData = encapsulate([bytes(encoded)])
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = UID(syntax)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(image, keyword, generate_uid())
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


def test_pictures_are_rendered(web_archive: WebArchive, client: DICOMwebClient) -> None:
    image = web_archive.holding(MULTIFRAME)
    study, series, instance = uids_of(image)
    decoders: dict[str, Callable[[bytes], NDArray[np.uint8]]] = {
        "image/jpeg": imagecodecs.jpeg8_decode,
        "image/png": imagecodecs.png_decode,
    }
    for media_type, decode in decoders.items():
        asked = (media_type,)
        whole = client.retrieve_instance_rendered(study, series, instance, media_types=asked)
        assert decode(whole).shape[:2] == (image.Rows, image.Columns)
        one = client.retrieve_instance_frames_rendered(
            study, series, instance, [2], media_types=asked
        )
        assert decode(one).shape[:2] == (image.Rows, image.Columns)
    small = client.retrieve_instance_rendered(
        *(study, series, instance), media_types=("image/jpeg",), params={"viewport": "32,32"}
    )
    assert max(imagecodecs.jpeg8_decode(small).shape[:2]) == 32


def test_it_stores_several_and_is_told_what_was_not(
    web_archive: WebArchive, client: DICOMwebClient
) -> None:
    study = generate_uid()
    images = []
    for name in (CT, "MR_small.dcm", "test-SR.dcm"):
        image = original(name)
        image.StudyInstanceUID, image.SOPInstanceUID = study, generate_uid()
        image.SeriesInstanceUID = generate_uid()
        image.PatientID, image.PatientName = "SYSTEM-1", "Nguyễn^Thị Ánh Tuyết"
        image.SpecificCharacterSet = "ISO_IR 192"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        images.append(image)
    answer = client.store_instances(images, study_instance_uid=study)
    stored = {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence}
    assert stored == {image.SOPInstanceUID for image in images}
    assert "FailedSOPSequence" not in answer
    (found,) = client.search_for_studies(
        fuzzymatching=True,
        search_filters={"PatientName": "nguyen thi anh tuyet", "StudyInstanceUID": study},
    )
    assert found["00080061"]["Value"] == ["CT", "MR", "SR"]
    assert found["00100010"]["Value"] == [{"Alphabetic": "Nguyễn^Thị Ánh Tuyết"}]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, uids: client.retrieve_study_metadata(generate_uid()),
        lambda client, uids: client.retrieve_series_metadata(uids[0], generate_uid()),
        lambda client, uids: client.retrieve_instance(uids[0], uids[1], generate_uid()),
        lambda client, uids: client.retrieve_instance_frames(*uids, [999]),
        lambda client, uids: client.retrieve_instance_frames_rendered(*uids, [999]),
        lambda client, uids: client.retrieve_bulkdata(
            f"{client.base_url}/studies/{uids[0]}/series/{uids[1]}/instances/{uids[2]}"
            "/bulkdata/00990099"
        ),
    ],
)
def test_what_is_not_there_is_not_found(
    ask: Callable[[DICOMwebClient, tuple[str, str, str]], object],
    web_archive: WebArchive,
    client: DICOMwebClient,
) -> None:
    with pytest.raises(requests.HTTPError) as refused:
        ask(client, uids_of(web_archive.holding(CT)))
    answer = refused.value.response
    assert answer is not None
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
