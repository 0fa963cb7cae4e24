"""A file of the model is missing or altered: studies wait, and are triaged once it is right."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ai_models
from dicom_node.send import Peer
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CHEST = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"
WEIGHTS = "models/model.safetensors"


def test_model_missing_then_altered_then_right(
    new_product: Callable[..., Product], real_file: Callable[[str], Path], tmp_path: Path
) -> None:
    # Another copy of the program's AI, which may be spoilt.
    copied = shutil.copytree(Path(ai_models.__file__).parent, tmp_path / "ai_models")
    weights = copied / "bundles" / "cxr_triage" / WEIGHTS
    right = weights.read_bytes()
    weights.unlink()
    product = new_product(PYTHONPATH=str(tmp_path))
    product.start()
    client = product.client()

    list(Peer("127.0.0.1", product.dicom_port, "FILMLESS").send([real_file("RG1_UNCR.dcm")]))
    product.wait_for_log(f"model cxr_triage: {WEIGHTS} cannot be read; put the released files")
    product.wait_for_log("studies wait untriaged until then")
    waiting = product.wait_for_studies(client, {CHEST}, 30, states=("complete",))[CHEST]
    assert waiting["triage"]["status"] == "pending"

    altered = bytearray(right)
    altered[len(right) // 2] ^= 1
    weights.write_bytes(altered)
    product.wait_for_log(f"model cxr_triage: {WEIGHTS} is not the released one; put the released")
    listed = client.get("/api/v1/worklist").json()["items"]
    assert [item["triage"]["status"] for item in listed] == ["pending"]

    weights.write_bytes(right)
    triaged = product.wait_for_studies(client, {CHEST}, 150)[CHEST]
    assert triaged["triage"]["status"] == "assessed"
    product.assert_no_traceback()
