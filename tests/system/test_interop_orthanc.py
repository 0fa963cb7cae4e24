"""Orthanc beside the product: each stores to the other and asks it for storage commitment; Orthanc
finds and retrieves here.

Orthanc 1.10.1 asks for objects by C-MOVE only, and calls itself by one port, with TLS or without.
"""

import io
import time
from collections.abc import Iterator

import pydicom
import pytest
from pydicom.uid import generate_uid

from dicom_node.commitment_user import request_commitment
from pacs import commitment, devices
from pacs.archive import Archive, open_archive
from pacs.commitment import Commitment, Reference
from pacs.database.running import database
from pacs.settings import load_settings
from tests.plugins.interop import ASKED, FOUND, IN_ASCII, Ours, Studies
from tests.plugins.orthanc import Orthanc

pytestmark = pytest.mark.system

NO_SUCH_OBJECT_INSTANCE = 0x0112
REPORT_SECONDS = 20


@pytest.fixture(scope="module")
def orthanc(ours: Ours, tls: bool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that knows us, under two names of its own: one of them reads ASCII only."""
    us = {"AET": "FILMLESS", "Host": "127.0.0.1", "Port": ours.port(tls=tls), "UseDicomTls": tls}
    modalities = {"filmless": us, "in_ascii": {**us, "LocalAet": f"ORTHASCII{tls:d}"}}
    settings = {
        "DicomTlsEnabled": tls,
        "DicomTlsCertificate": str(ours.certificate),
        "DicomTlsPrivateKey": str(ours.key),
        "DicomTlsTrustedCertificates": str(ours.authority.certificate),
    }
    folder = tmp_path_factory.mktemp("orthanc") / "0"
    with Orthanc(folder, f"ORTHANC{tls:d}", modalities, settings if tls else {}) as running:
        ours.know(running.aet, port=running.port, tls=tls)
        ours.know(f"ORTHASCII{tls:d}", "--character-set", "ISO_IR 6")
        yield running


@pytest.fixture(autouse=True)
def empty(orthanc: Orthanc) -> None:
    """Orthanc has forgotten what came in the last test."""
    orthanc.delete_all()


def found_by(
    orthanc: Orthanc, studies: Studies, modality: str = "filmless"
) -> tuple[str, list[str]]:
    """Ask for the patients by name: the path of the query, and the names that were answered."""
    asked = {"PatientName": ASKED, "PatientID": studies.patient_ids, "StudyInstanceUID": ""}
    query = orthanc.post(f"/modalities/{modality}/query", {"Level": "Study", "Query": asked})[
        "Path"
    ]
    answers = orthanc.get(f"{query}/answers?expand&simplify")
    assert {one["StudyInstanceUID"] for one in answers} == set(studies.uids)
    return query, sorted(one["PatientName"] for one in answers)


def datasets(files: list[bytes]) -> list[bytes]:
    """The data sets of Part 10 files, sorted."""
    found = []
    for file in files:
        length = pydicom.dcmread(io.BytesIO(file)).file_meta.FileMetaInformationGroupLength
        found.append(file[144 + length :])
    return sorted(found)


def test_it_stores_finds_and_retrieves(orthanc: Orthanc, studies: Studies) -> None:
    orthanc.post("/modalities/filmless/echo", {})
    sent = [orthanc.post("/instances", file.read_bytes())["ID"] for file in studies.files]
    stored = orthanc.post("/modalities/filmless/store", {"Resources": sent, "Synchronous": True})
    assert (stored["InstancesCount"], stored["FailedInstancesCount"]) == (3, 0)
    orthanc.delete_all()
    query, names = found_by(orthanc, studies)
    assert names == FOUND
    assert found_by(orthanc, studies, "in_ascii")[1] == IN_ASCII
    moved = {"TargetAet": orthanc.aet, "Synchronous": True}
    orthanc.post(f"{query}/retrieve", moved)
    assert datasets(orthanc.files()) == studies.datasets
    names = [
        study["PatientMainDicomTags"]["PatientName"] for study in orthanc.get("/studies?expand")
    ]
    assert sorted(names) == sorted(study.patient_name for study in studies.all)


def test_we_commit_ourselves_to_it(orthanc: Orthanc, studies: Studies) -> None:
    sent = [orthanc.post("/instances", file.read_bytes())["ID"] for file in studies.files]
    body = {"Resources": sent, "Synchronous": True, "StorageCommitment": True}
    stored = orthanc.post("/modalities/filmless/store", body)
    path = f"/storage-commitment/{stored['StorageCommitmentTransactionUID']}"
    report = orthanc.wait_for(path, Status="Success")
    assert {one["SOPInstanceUID"] for one in report["Success"]} == {
        study.sop_instance_uid for study in studies.all
    }
    unknown = {"SOPClassUID": studies.sop_class_uid, "SOPInstanceUID": generate_uid()}
    asked = orthanc.post(
        "/modalities/filmless/storage-commitment",
        {"DicomInstances": [unknown, report["Success"][0]]},
    )
    report = orthanc.wait_for(asked["Path"], Status="Failure")
    (failed,) = report["Failures"]
    assert failed["SOPInstanceUID"] == unknown["SOPInstanceUID"]
    assert failed["FailureReason"] == NO_SUCH_OBJECT_INSTANCE
    assert len(report["Success"]) == 1


def test_we_store_to_it_and_it_commits_itself(
    orthanc: Orthanc, studies: Studies, ours: Ours, tls: bool
) -> None:
    ours.product.pacs("devices", "echo", orthanc.aet)
    peer = ours.peer(orthanc.aet, orthanc.port, tls=tls)
    assert list(peer.send(studies.files)) == studies.files
    assert datasets(orthanc.files()) == studies.datasets
    safe = [Reference(studies.sop_class_uid, study.sop_instance_uid) for study in studies.all]
    unknown = Reference(studies.sop_class_uid, generate_uid())
    settings = load_settings(data_dir=ours.product.data_dir, **ours.tls_settings)
    with database(settings, print) as url, open_archive(settings, url) as archive:
        assert answer_to(archive, orthanc.aet, safe).failed == []
        heard = answer_to(archive, orthanc.aet, [*safe, unknown])
    assert heard.failed == [(unknown, NO_SUCH_OBJECT_INSTANCE)]
    assert heard.safe == safe


def answer_to(archive: Archive, aet: str, references: list[Reference]) -> Commitment:
    """What a device answers to our request for commitment; the product hears it."""
    with archive.engine.connect() as connection:
        device = devices.get(connection, aet)
    uid = request_commitment(archive, device, references)
    deadline = time.monotonic() + REPORT_SECONDS
    while time.monotonic() < deadline:
        with archive.engine.connect() as connection:
            kept = commitment.find(connection, aet, uid)
        if kept is not None and kept.reported_at is not None:
            return kept
        time.sleep(0.05)
    pytest.fail(f"{aet} has not answered")
