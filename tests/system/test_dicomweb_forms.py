"""Other forms than those that are stored: transcoded on the way out, and bulk data by URI."""

from urllib.parse import urljoin

import imagecodecs
import numpy as np
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from tests.plugins.web_archive import WebArchive, original

pytestmark = pytest.mark.system

CT, RADIOGRAPH, MULTIFRAME = "CT_small.dcm", "RG1_J2KR.dcm", "emri_small_jpeg_ls_lossless.dcm"
PLAIN = {MULTIFRAME: "emri_small.dcm"}
HTJ2K_LOSSLESS, HTJ2K_RPCL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"


@pytest.fixture
def client(web_archive: WebArchive) -> DICOMwebClient:
    """The client, signed in by a token."""
    session = requests.Session()
    session.headers.update(web_archive.headers)
    return DICOMwebClient(web_archive.url, session=session)


def uids_of(image: Dataset) -> tuple[str, str, str]:
    """Of the study, the series and the instance."""
    return image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID


def test_a_compressed_image_comes_uncompressed_where_that_is_asked(
    web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding(RADIOGRAPH)
    explicit = (("application/dicom", str(ExplicitVRLittleEndian)),)
    whole = client.retrieve_instance(*uids_of(image), media_types=explicit)
    assert whole.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(whole.pixel_array, original("RG1_UNCR.dcm").pixel_array)


def test_bulk_data_are_had_by_the_uri_in_the_metadata(
    web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding("waveform_ecg.dcm")
    metadata = client.retrieve_instance_metadata(*uids_of(image))
    (first, *_) = metadata["54000100"]["Value"]
    uri = urljoin(client.base_url, first["54001010"]["BulkDataURI"])
    (data,) = client.retrieve_bulkdata(uri)
    assert data == image.WaveformSequence[0].WaveformData


@pytest.mark.parametrize("name", [CT, "RG1_UNCR.dcm"])
def test_pixels_are_bulk_data_too(
    name: str, web_archive: WebArchive, client: DICOMwebClient
) -> None:
    image = web_archive.holding(name)
    metadata = client.retrieve_instance_metadata(*uids_of(image))
    uri = urljoin(client.base_url, metadata["7FE00010"]["BulkDataURI"])
    (data,) = client.retrieve_bulkdata(uri)
    assert data == image.PixelData


@pytest.mark.parametrize("syntax", [HTJ2K_LOSSLESS, HTJ2K_RPCL])
@pytest.mark.parametrize("name", ["RG1_UNCR.dcm", CT, MULTIFRAME, "SC_rgb.dcm"])
def test_htj2k_on_the_way_out_loses_nothing(
    name: str, syntax: str, web_archive: WebArchive
) -> None:
    image = web_archive.holding(name)
    expected = pixel_array(original(PLAIN.get(name, name)), raw=True)
    expected = expected if name == MULTIFRAME else expected[np.newaxis]
    frame = web_archive.frame(image, len(expected), "image/jphc", syntax)
    assert np.array_equal(imagecodecs.htj2k_decode(frame), expected[-1])
