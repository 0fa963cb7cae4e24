"""The main job, seen from outside: from a modality to the worklist, the AI, the EMR and a link.

Driven with other people's tools (DCMTK, dicomweb-client, dicom3tools), once on the embedded
database and local disk, once on Debian's PostgreSQL and SeaweedFS.
"""

import io
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
from dicomweb_client import DICOMwebClient
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
)

from tests.plugins.dcmtk import StoreScp, send_by_storescu
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

CHEST = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"
LEG = "1.3.6.1.4.1.5962.1.2.11.20040826185059.5457"
CHEST_FILES = ("RG1_UNCR.dcm", "RG1_J2KR.dcm", "RG1_UNCI.dcm", "RG1_J2KI.dcm")
REPORT_CLASSES = (EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage)


@contextmanager
def dicomweb_client(client: httpx2.Client) -> Iterator[DICOMwebClient]:
    """dicomweb-client on the product, with the same token."""
    with requests.Session() as session:
        session.headers["Authorization"] = client.headers["Authorization"]
        yield DICOMwebClient(f"{str(client.base_url).rstrip('/')}/dicomweb", session=session)


def errors_of(part10: bytes, path: Path) -> list[str]:
    """What dciodvfy finds wrong with an object."""
    path.write_bytes(part10)
    dciodvfy = shutil.which("dciodvfy", path=Path(sys.executable).parent) or "dciodvfy"
    done = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "dciodvfy said nothing at all"
    return [line for line in lines if line.startswith("Error")]


def test_from_the_modality_to_the_emr(
    product_on_either: Product, storescp: StoreScp, real_file: Callable[[str], Path], tmp_path: Path
) -> None:
    product = product_on_either
    files = [real_file(name) for name in CHEST_FILES]
    send_by_storescu(product.dicom_port, *files, real_file("RG3_UNCR.dcm"))
    send_by_storescu(storescp.port, *files)
    with product.client() as client:
        items = product.wait_for_studies(client, {CHEST, LEG})
        it_is_triaged_and_first(client, items)
        every_byte_is_as_sent(client, storescp.take())
        results_are_standard_objects(client, tmp_path)
        the_emr_finds_it(product, client)
        a_link_opens_one_study(product, client)
    assert product.stop() == 0


def it_is_triaged_and_first(client: httpx2.Client, items: dict[str, Any]) -> None:
    chest, leg = items[CHEST]["triage"], items[LEG]["triage"]
    assert chest["status"] == "assessed"
    assert chest["class"] in ("critical", "urgent")
    assert chest["model"]["registered"] is False
    assert (leg["status"], leg["reason"]) == ("not_assessed", "not_chest")
    listed = client.get("/api/v1/worklist").json()["items"]
    assert [item["studyInstanceUID"] for item in listed] == [CHEST, LEG]


def every_byte_is_as_sent(client: httpx2.Client, sent: list[bytes]) -> None:
    """What came to another archive that keeps bits as they come has come here too."""
    assert len(sent) == len(CHEST_FILES) - 1  # of the two files with one UID the later is served
    with dicomweb_client(client) as web:
        (study,) = web.search_for_studies(
            search_filters={"PatientName": "CompressedSamples*", "PatientID": "9RG1"}
        )
        assert study["0020000D"]["Value"] == [CHEST]
        assert len(web.retrieve_study(CHEST, media_types=(("application/dicom", "*"),))) >= 3
    got = client.get(
        f"/dicomweb/studies/{CHEST}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    )
    got.raise_for_status()
    for data_set in sent:
        assert len(data_set) > 100_000
        assert data_set in got.content


def results_are_standard_objects(client: httpx2.Client, tmp_path: Path) -> None:
    by_class: dict[str, list[bytes]] = {}
    with dicomweb_client(client) as web:
        for found in web.search_for_instances(study_instance_uid=CHEST):
            uids = (found["0020000E"]["Value"][0], found["00080018"]["Value"][0])
            instance = web.retrieve_instance(
                CHEST, *uids, media_types=(("application/dicom", "*"),)
            )
            out = io.BytesIO()
            instance.save_as(out, enforce_file_format=True)
            by_class.setdefault(instance.SOPClassUID, []).append(out.getvalue())
    reports = [report for sop_class in REPORT_CLASSES for report in by_class.get(sop_class, [])]
    heat_maps = by_class[SecondaryCaptureImageStorage]
    assert len(reports) == len(heat_maps) == 3
    for number, part10 in enumerate((*reports, *heat_maps)):
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
        assert f"urn:oid:{CHEST}" in [identifier["value"] for identifier in study["identifier"]]
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
