"""dicomweb-client in JavaScript and dcmjs, which viewers are made of, in Chromium."""

import base64
import hashlib
import io
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from playwright.sync_api import Browser
from pydicom.uid import generate_uid

from tests.plugins.web_archive import WebArchive, original

pytestmark = [pytest.mark.system, pytest.mark.browser]

ROOT = Path(__file__).parent.parent.parent
TALK = Path(__file__).parent / "dcmjs_web" / "talk.js"
JPEG = [0xFF, 0xD8]
CODESTREAM = [0xFF, 0x4F, 0xFF, 0x51]


@pytest.fixture(scope="module")
def scripts() -> list[Path]:
    """What a page has to load, in this order."""
    prepare = [sys.executable, str(ROOT / "scripts" / "prepare.py"), "dcmjs-web"]
    done = subprocess.run(prepare, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    packages = ROOT / ".cache" / "dcmjs-web" / "node_modules"
    return [
        packages / "dicomweb-client" / "build" / "dicomweb-client.js",
        packages / "dcmjs" / "build" / "dcmjs.js",
        TALK,
    ]


@pytest.mark.parametrize("name", ["CT_small.dcm", "RG1_UNCR.dcm"])
def test_it_stores_finds_and_retrieves(
    name: str, web_archive: WebArchive, scripts: list[Path], chromium: Browser
) -> None:
    image = web_archive.holding(name)
    fresh = original("MR_small.dcm")
    fresh.SOPInstanceUID = fresh.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    fresh.StudyInstanceUID, fresh.SeriesInstanceUID = generate_uid(), generate_uid()
    file = io.BytesIO()
    fresh.save_as(file)
    order = {
        "url": web_archive.url,
        "token": web_archive.token,
        "uids": uids_of(image),
        "compressed": uids_of(web_archive.holding("RG1_J2KR.dcm")),
        "name": str(image.PatientName).lower().replace("^", " "),
        "file": base64.b64encode(file.getvalue()).decode(),
    }
    # Scripts of others would never be let into our pages.
    context = chromium.new_context(bypass_csp=True)
    try:
        page = context.new_page()
        page.goto(f"{web_archive.product.url}/healthz")
        for script in scripts:
            page.add_script_tag(path=script)
        done = page.evaluate("order => talk(order)", order)
    finally:
        context.close()
    study, series, instance = uids_of(image)
    assert done["stored"] == [fresh.SOPInstanceUID]
    assert done["found"][0] == [study]
    assert study in done["found"][1]
    assert (done["series"], done["instances"]) == ([series], [instance])
    assert done["metadata"] == [instance] * 3
    assert done["name"] == str(image.PatientName)
    assert done["read"] == [instance, image.Rows]
    assert len(set(done["sizes"])) == 1
    pixels = hashlib.sha256(pydicom.dcmread(io.BytesIO(saved(image))).PixelData).hexdigest()
    assert done["pixels"] == done["bulk"] == pixels
    assert done["compressed"] == CODESTREAM
    assert done["pictures"] == [JPEG] * 4
    assert done["missing"] == 404


def uids_of(image: pydicom.Dataset) -> tuple[str, str, str]:
    """Of the study, the series and the instance."""
    return image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID


def saved(image: pydicom.FileDataset) -> bytes:
    """The file that an image was stored as."""
    file = io.BytesIO()
    image.save_as(file)
    return file.getvalue()
