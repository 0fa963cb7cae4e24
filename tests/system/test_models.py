"""Models of the running product: another takes over between two studies, without a restart."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

from ai_models.registry import BUNDLES, METADATA, write_checksums
from dicom_node.send import Peer
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def other_bundle(folder: Path) -> Path:
    """The released network under another name."""
    root = shutil.copytree(BUNDLES / "cxr_triage", folder / "cxr_other")
    metadata = json.loads((root / METADATA).read_bytes()) | {"name": "cxr_other"}
    (root / METADATA).write_text(json.dumps(metadata), encoding="utf-8")
    write_checksums(root)
    return root


def test_shadow_activate_and_retire_while_it_runs(
    start_product: Callable[..., Product], real_file: Callable[[str], Path], tmp_path: Path
) -> None:
    product = start_product()
    client = product.client()

    def triaged() -> dict[str, Any]:
        """A chest radiograph arrives; its row of the worklist."""
        image = pydicom.dcmread(real_file("RG1_UNCR.dcm"))
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        file = tmp_path / "image.dcm"
        image.save_as(file)
        list(Peer("127.0.0.1", product.dicom_port, "FILMLESS").send([file]))
        study = str(image.StudyInstanceUID)
        return product.wait_for_studies(client, {study}, 60)[study]

    signed = ("--research-signed-by", "Dr An, head of radiology")
    assert triaged()["triage"]["model"]["name"] == "cxr_triage"
    product.pacs("models", "add", str(other_bundle(tmp_path)), *signed)
    product.pacs("models", "shadow", "cxr_other")
    row = triaged()
    assert row["triage"]["model"]["name"] == "cxr_triage"
    page = client.get(f"/api/v1/studies/{row['studyInstanceUID']}").json()
    assert sorted(series["modality"] for series in page["series"]) == ["CR", "OT", "SR"]
    assert len(page["assessments"]) == 1

    product.pacs("models", "activate", "cxr_other")
    assert triaged()["triage"]["model"]["name"] == "cxr_other"
    product.pacs("models", "retire", "cxr_other")
    without = triaged()["triage"]
    assert (without["status"], without["reason"]) == ("not_assessed", "no_model")
    # What it said stays.
    models = [
        item["triage"]["model"]["name"] for item in client.get("/api/v1/worklist").json()["items"]
    ]
    assert sorted(models) == ["cxr_other", "cxr_triage", "cxr_triage", "none"]
    states = {m["name"]: m["state"] for m in json.loads(product.pacs("models", "list", "--json"))}
    assert states == {"cxr_other": "retired", "cxr_triage": "retired"}
    product.assert_no_traceback()
