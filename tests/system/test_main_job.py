"""The main job, seen from outside: from a modality to the worklist, the AI, the EMR and a link.

Driven with other people's tools (DCMTK, dicomweb-client, dicom3tools), once on the embedded
database and local disk, once on Debian's PostgreSQL and SeaweedFS.
"""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pydicom
import pytest
from dicomweb_client import DICOMwebClient
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, SecondaryCaptureImageStorage

from tests.plugins.product import Product
from tests.plugins.seaweed import Seaweed

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

CHEST = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"
LEG = "1.3.6.1.4.1.5962.1.2.11.20040826185059.5457"
CHEST_FILES = ("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG1_UNCI.dcm", "RG1_J2KI.dcm")
TRANSFER_SYNTAX_FLAGS = {"UNC": "-xe", "J2KR": "-xv", "J2KI": "-xw"}


@pytest.fixture(params=["embedded", "hospital"])
def product(request: pytest.FixtureRequest, start_product: Callable[..., Product]) -> Product:
    """The product on its own database and disk, or on the hospital's PostgreSQL and S3."""
    if request.param == "embedded":
        return start_product()
    seaweed: Seaweed = request.getfixturevalue("seaweed")
    return start_product(
        PACS_DATABASE_URL=request.getfixturevalue("hospital_database_url"),
        PACS_STORE_URL=f"s3://{seaweed.bucket('main-job')}?endpoint={seaweed.endpoint}",
        AWS_ACCESS_KEY_ID=seaweed.access_key,
        AWS_SECRET_ACCESS_KEY=seaweed.secret_key,
    )


def storescu(product: Product, *files: Path) -> None:
    """Sends files with DCMTK as they are, each proposing the transfer syntax it is in."""
    for file in files:
        syntax = pydicom.dcmread(file, stop_before_pixels=True).file_meta.TransferSyntaxUID
        flag = {"1.2.840.10008.1.2.4.90": "-xv", "1.2.840.10008.1.2.4.91": "-xw"}.get(syntax, "-xe")
        subprocess.run(
            ["storescu", flag, "-aec", "FILMLESS", "127.0.0.1", str(product.dicom_port), file],
            check=True,
            capture_output=True,
            env={"PATH": "/usr/bin:/bin", "TCP_NODELAY": "1"},
        )


def data_set(part10: bytes) -> bytes:
    """What follows the file meta information."""
    file = io.BytesIO(part10)
    pydicom.filereader.read_preamble(file, force=False)
    pydicom.filereader._read_file_meta_info(file)
    return file.read()


def errors_of(part10: bytes, path: Path) -> list[str]:
    """What dciodvfy finds wrong with an object."""
    path.write_bytes(part10)
    dciodvfy = shutil.which("dciodvfy", path=Path(sys.executable).parent) or "dciodvfy"
    done = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy said nothing at all"
    return [line for line in lines if line.startswith("Error")]


def retrieve(client: httpx2.Client, study: str, series: str, instance: str) -> bytes:
    """An object as it is stored, through WADO-RS."""
    session = DICOMwebClient(
        f"{client.base_url}dicomweb", headers={"Authorization": client.headers["Authorization"]}
    )
    found = session.retrieve_instance(
        study, series, instance, media_types=(("application/dicom", "*"),)
    )
    out = io.BytesIO()
    found.save_as(out, enforce_file_format=True)
    return out.getvalue()


def test_from_the_modality_to_the_emr(
    product: Product, real_file: Callable[[str], Path], tmp_path: Path
) -> None:
    files = [real_file(name) for name in CHEST_FILES]
    storescu(product, *files, real_file("RG3_UNCR.dcm"))
    client = product.client()
    items = product.wait_for_studies(client, {CHEST, LEG})

    chest, leg = items[CHEST]["triage"], items[LEG]["triage"]
    assert chest["status"] == "assessed"
    assert chest["class"] in ("critical", "urgent")
    assert chest["model"]["registered"] is False
    assert (leg["status"], leg["reason"]) == ("not_assessed", "not_chest")
    listed = client.get("/api/v1/worklist").json()["items"]
    assert [item["studyInstanceUID"] for item in listed] == [CHEST, LEG]

    every_byte_is_as_sent(client, files)
    results_are_standard_objects(client, tmp_path)
    the_emr_finds_it(product, client)
    a_link_opens_one_study(product, client)


def every_byte_is_as_sent(client: httpx2.Client, files: list[Path]) -> None:
    session = DICOMwebClient(
        f"{client.base_url}dicomweb", headers={"Authorization": client.headers["Authorization"]}
    )
    (study,) = session.search_for_studies(
        search_filters={"PatientName": "CompressedSamples*", "PatientID": "9RG1"}
    )
    assert study["0020000D"]["Value"] == [CHEST]
    by_uid = {pydicom.dcmread(file).SOPInstanceUID: file for file in files}
    for uid, file in by_uid.items():  # of the two files with one UID the later is served
        sent = pydicom.dcmread(file)
        got = client.get(
            f"/dicomweb/studies/{CHEST}/series/{sent.SeriesInstanceUID}/instances/{uid}",
            headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        )
        got.raise_for_status()
        assert data_set(file.read_bytes()) in got.content
        again = session.retrieve_instance(
            CHEST, sent.SeriesInstanceUID, uid, media_types=(("application/dicom", "*"),)
        )
        assert again == sent


def results_are_standard_objects(client: httpx2.Client, tmp_path: Path) -> None:
    session = DICOMwebClient(
        f"{client.base_url}dicomweb", headers={"Authorization": client.headers["Authorization"]}
    )
    found = session.search_for_instances(study_instance_uid=CHEST)
    by_class: dict[str, list[dict[str, Any]]] = {}
    for instance in found:
        by_class.setdefault(instance["00080016"]["Value"][0], []).append(instance)
    reports = [
        *by_class.get(ComprehensiveSRStorage, []),
        *by_class.get(EnhancedSRStorage, []),
        *by_class.get("1.2.840.10008.5.1.4.1.1.88.34", []),
    ]
    heat_maps = by_class[SecondaryCaptureImageStorage]
    assert len(reports) >= 3
    assert len(heat_maps) >= 3
    for number, instance in enumerate((*reports, *heat_maps)):
        part10 = retrieve(
            client,
            CHEST,
            instance["0020000E"]["Value"][0],
            instance["00080018"]["Value"][0],
        )
        assert errors_of(part10, tmp_path / f"{number}.dcm") == []


def the_emr_finds_it(product: Product, client: httpx2.Client) -> None:
    for search in (
        {"identifier": f"urn:oid:{CHEST}"},
        {"patient.identifier": "9RG1"},
    ):
        bundle = client.get("/fhir/ImagingStudy", params=search).json()
        assert bundle["total"] == 1
        (study,) = [
            entry["resource"]
            for entry in bundle["entry"]
            if entry["resource"]["resourceType"] == "ImagingStudy"
        ]
        assert {"system": "urn:dicom:uid", "value": f"urn:oid:{CHEST}"} in study["identifier"]
    display = client.get("/viewer", params={"requestType": "STUDY", "studyUID": CHEST})
    assert display.status_code in (302, 303, 307)
    assert display.headers["location"].endswith(f"/study/{CHEST}")
    assert httpx2.get(f"{product.url}/fhir/ImagingStudy").status_code == 401


def a_link_opens_one_study(product: Product, client: httpx2.Client) -> None:
    made = client.post(
        f"/api/v1/studies/{CHEST}/links",
        json={"expiresInHours": 1, "basis": "Người bệnh yêu cầu"},
    )
    assert made.status_code == 201
    with httpx2.Client(base_url=product.url, follow_redirects=True, timeout=30) as visitor:
        assert visitor.get(made.json()["url"]).status_code == 200
        assert visitor.get(f"/dicomweb/studies/{CHEST}/metadata").status_code == 200
        assert visitor.get(f"/api/v1/studies/{CHEST}").status_code == 200
        for closed in (
            f"/dicomweb/studies/{LEG}/metadata",
            f"/api/v1/studies/{LEG}",
            "/api/v1/worklist",
            "/fhir/ImagingStudy",
        ):
            assert visitor.get(closed).status_code in (401, 403, 404), closed
        listed = visitor.get("/dicomweb/studies").json()
        assert [study["0020000D"]["Value"][0] for study in listed] == [CHEST]
        assert client.delete(f"/api/v1/links/{made.json()['id']}").status_code == 204
        assert visitor.get(f"/dicomweb/studies/{CHEST}/metadata").status_code == 401
