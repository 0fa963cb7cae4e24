"""dicomtrolley, with which researchers fetch studies: QIDO-RS, WADO-RS and WADO-URI."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import requests
from dicomtrolley.core import InstanceReference, QueryLevels, StudyReference
from dicomtrolley.exceptions import DICOMTrolleyError
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS, RelationalQuery
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS, WadoRSMetaData
from dicomtrolley.wado_uri import WadoURI
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.plugins.web_archive import WebArchive

pytestmark = pytest.mark.system

NAMES = ("CT_small.dcm", "emri_small_jpeg_ls_lossless.dcm", "test-SR.dcm")


@pytest.fixture
def session(web_archive: WebArchive) -> requests.Session:
    """A session signed in by a token, of an archive that holds the files."""
    for name in NAMES:
        web_archive.holding(name)
    session = requests.Session()
    session.headers.update(web_archive.headers)
    return session


def test_it_finds_studies_with_what_is_in_them(
    web_archive: WebArchive, session: requests.Session
) -> None:
    image = web_archive.holding("CT_small.dcm")
    searcher = QidoRS(session, web_archive.url)
    day = datetime.strptime(image.StudyDate, "%Y%m%d")  # noqa: DTZ007 - DICOM's have no zone
    query = HierarchicalQuery(
        PatientID=image.PatientID, min_study_date=day, max_study_date=day, limit=100
    )
    found = {study.uid for study in searcher.find_studies(query)}
    assert image.StudyInstanceUID in found
    whole = HierarchicalQuery(
        StudyInstanceUID=image.StudyInstanceUID,
        SeriesInstanceUID=image.SeriesInstanceUID,
        query_level=QueryLevels.INSTANCE,
    )
    (study,) = searcher.find_studies(whole)
    (series,) = study.series
    assert [one.uid for one in series.instances] == [image.SOPInstanceUID]
    of_all = RelationalQuery(query_level=QueryLevels.SERIES, ModalitiesInStudy="CT", limit=500)
    assert image.StudyInstanceUID in {one.uid for one in searcher.find_studies(of_all)}
    assert searcher.find_studies(HierarchicalQuery(PatientID="nobody has this ID")) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("per_series", [False, True])
def test_it_downloads_what_it_found(
    *,
    name: str,
    per_series: bool,
    web_archive: WebArchive,
    session: requests.Session,
    tmp_path: Path,
) -> None:
    image = web_archive.holding(name)
    trolley = Trolley(
        downloader=WadoRS(session, web_archive.url, request_per_series=per_series),
        searcher=QidoRS(session, web_archive.url),
    )
    (study,) = trolley.find_studies(HierarchicalQuery(StudyInstanceUID=image.StudyInstanceUID))
    trolley.download([study], tmp_path)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert pydicom.dcmread(file) == image


def test_it_reads_metadata(web_archive: WebArchive, session: requests.Session) -> None:
    image = web_archive.holding("CT_small.dcm")
    reader = WadoRSMetaData(session, web_archive.url)
    (header,) = reader.datasets([StudyReference(study_uid=image.StudyInstanceUID)])
    assert header.PatientName == image.PatientName
    assert (header.Rows, header.Columns) == (image.Rows, image.Columns)


@pytest.mark.parametrize("name", NAMES)
def test_it_fetches_by_wado_uri(
    name: str, web_archive: WebArchive, session: requests.Session
) -> None:
    image = web_archive.holding(name)
    reference = InstanceReference(
        study_uid=image.StudyInstanceUID,
        series_uid=image.SeriesInstanceUID,
        instance_uid=image.SOPInstanceUID,
    )
    (found,) = WadoURI(session, f"{web_archive.url}/wado").datasets([reference])
    # Nothing else was asked for than what every client can read (PS3.18 section 9.5).
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.SOPInstanceUID == image.SOPInstanceUID
    assert found.PatientName == image.PatientName
    if "PixelData" in image:
        assert np.array_equal(found.pixel_array, image.pixel_array)


def test_it_is_told_what_is_not_there(web_archive: WebArchive, session: requests.Session) -> None:
    downloader = WadoRS(session, web_archive.url, request_per_series=False)
    with pytest.raises(DICOMTrolleyError, match="404"):
        list(downloader.datasets([StudyReference(study_uid=generate_uid())]))
