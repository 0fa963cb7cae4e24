"""OHIF over the running product in Chromium: it shows every kind of study, and calls nobody else.

With FILMLESS_SCREENSHOTS=docs/screenshots what it shows is pictured; otherwise the pictures go to
the test's own folder.
"""

import contextlib
import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues
from highdicom.sr.coding import CodedConcept
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as NotSeen
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(900)]

PASSWORD = "trực đêm ở bệnh viện huyện"
SLICES = 40
FILES = {
    "cr": "RG1_UNCR.dcm",
    "us-cine": "color3d_jpeg_baseline.dcm",
    "us-rgb": "US1_J2KR.dcm",
    "nm": "JPEG2000_UNC.dcm",
}
SHOWN = """(count) => {
  const drawn = [...document.querySelectorAll('canvas.cornerstone-canvas')].filter((canvas) => {
    if (canvas.width < 50) return false;
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let bright = 0;
    for (let at = 0; at < data.length; at += 4000) if (data[at] > 20) bright += 1;
    return bright > 10;
  });
  return drawn.length >= count;
}"""


def study_of(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID)


def volume(slice_: Dataset) -> list[Dataset]:
    """A real CT slice as a volume, four millimetres apart."""
    study, series, frame_of_reference = generate_uid(), generate_uid(), generate_uid()
    made = []
    for number in range(SLICES):
        one = copy.deepcopy(slice_)
        one.PatientName = "Nguyễn^Văn Minh"
        one.SpecificCharacterSet = "ISO_IR 192"
        one.StudyInstanceUID, one.SeriesInstanceUID = study, series
        one.FrameOfReferenceUID = frame_of_reference
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        one.InstanceNumber = number + 1
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.ImagePositionPatient = [-125, -125, 4.0 * number]
        one.PixelSpacing = [0.488, 0.488]
        one.SliceThickness = 4
        made.append(one)
    return made


def segmentation(images: Sequence[Dataset]) -> Segmentation:
    """A round mass in the middle third of the volume, as a model would mark it."""
    rows, columns = np.mgrid[0 : images[0].Rows, 0 : images[0].Columns]
    mask = np.zeros((len(images), *rows.shape), np.uint8)
    mask[SLICES // 3 : 2 * SLICES // 3] = np.hypot(rows - 230, columns - 300) < 40
    description = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label="Mass",
        segmented_property_category=CodedConcept(
            "49755003", "SCT", "Morphologically Abnormal Structure"
        ),
        segmented_property_type=CodedConcept("4147007", "SCT", "Mass"),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="test",
            version="1",
            family=CodedConcept("123110", "DCM", "Artificial Intelligence"),
        ),
    )
    return Segmentation(
        source_images=images,
        pixel_array=mask,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[description],
        series_instance_uid=generate_uid(),
        series_number=900,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="test",
        manufacturer_model_name="test",
        software_versions="1",
        device_serial_number="1",
        series_description="AI SEG",
    )


@pytest.fixture
def product(start_product: Callable[..., Product]) -> Product:
    product = start_product()
    product.pacs(
        *("users", "add", "bs.an", "--role", "radiologist", "--password-stdin"), typed=PASSWORD
    )
    return product


def sign_in(page: Page, product: Product, then: str) -> None:
    page.goto(f"{product.url}{then}")
    page.get_by_test_id("sign-in-username").fill("bs.an")
    page.get_by_test_id("sign-in-password").fill(PASSWORD)
    page.get_by_test_id("sign-in-submit").click()


def test_ohif_shows_every_kind_of_study_and_calls_nobody_else(
    product: Product,
    real_file: Callable[[str], Path],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    studies = {name: real_file(file) for name, file in FILES.items()}
    uids = {name: study_of(file) for name, file in studies.items()}
    product.pacs("import", *map(str, studies.values()))
    ct = volume(pydicom.dcmread(real_file("693_UNCR.dcm")))
    for number, one in enumerate([*ct, segmentation(ct)]):
        one.save_as(tmp_path / f"{number}.dcm")
    product.pacs("import", *(str(tmp_path / f"{number}.dcm") for number in range(SLICES + 1)))
    uids["ct"] = str(ct[0].StudyInstanceUID)
    product.wait_for_studies(product.client(), {uids["cr"]})

    page = open_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pictures = Path(os.environ.get("FILMLESS_SCREENSHOTS", tmp_path))

    def shows(name: str, *, viewports: int = 1, then: float = 1500) -> None:
        page.wait_for_function(SHOWN, arg=viewports, timeout=90_000)
        page.wait_for_timeout(then)
        page.screenshot(path=pictures / f"ohif-{name}-desktop.png")

    viewer = "/ohif/viewer?StudyInstanceUIDs="
    # Who is not signed in comes back to the study after signing in.
    sign_in(page, product, viewer + uids["cr"])
    page.get_by_text("Confirm and hide").click(timeout=90_000)
    shows("cr")
    expect(page.get_by_text("AI, for research use").first).to_be_visible()
    for name in ("us-cine", "us-rgb", "nm", "ct"):
        page.goto(product.url + viewer + uids[name])
        shows(name)
    page.get_by_text("AI SEG").first.dblclick()
    expect(page.get_by_text("Do you want to open this Segmentation?")).to_be_visible(timeout=90_000)
    shows("seg")
    page.goto(f"{product.url}{viewer}{uids['ct']}&hangingprotocolId=mpr")
    shows("ct-mpr", viewports=3, then=15_000)  # a volume's slices are decoded one by one
    assert page.evaluate("localStorage.i18nextLng") == "vi"
    own = (product.url, "blob:", "data:")
    assert [url for url in asked if not url.startswith(own)] == []

    page.goto(product.url)
    row = page.locator(f"[data-testid=worklist-row][data-study-uid='{uids['nm']}']")
    row.get_by_test_id("row-ohif").click()
    page.wait_for_url(f"**{viewer}{uids['nm']}")
    page.goto(f"{product.url}/study/{uids['nm']}")
    page.get_by_test_id("study-ohif").click()
    page.wait_for_url(f"**{viewer}{uids['nm']}")


def test_ohif_draws_where_the_ai_looked(
    product: Product,
    real_file: Callable[[str], Path],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    radiograph = real_file(FILES["cr"])
    study = study_of(radiograph)
    product.pacs("import", str(radiograph))
    product.wait_for_studies(product.client(), {study})
    page = open_page()
    sign_in(page, product, f"/ohif/viewer?StudyInstanceUIDs={study}")
    page.get_by_text("Confirm and hide").click(timeout=90_000)
    page.wait_for_function(SHOWN, arg=1, timeout=90_000)
    outline = page.locator(".viewport-element svg.svg-layer polyline")
    page.wait_for_timeout(1500)
    expect(outline).to_have_count(0)
    # What is opened while OHIF still lays out its page is lost; people open it again.
    for _ in range(4):
        page.get_by_text("AI, for research use: cxr_triage").first.dblclick()
        with contextlib.suppress(NotSeen):
            outline.first.wait_for(state="visible", timeout=30_000)
            break
    expect(outline.first).to_be_visible()
    expect(page.get_by_text("AI: cxr_triage").first).to_be_visible()
    expect(page.get_by_text("Probability: 0.").first).to_be_visible()
    page.wait_for_function(SHOWN, arg=1, timeout=90_000)
    page.wait_for_timeout(1500)
    pictures = Path(os.environ.get("FILMLESS_SCREENSHOTS", tmp_path))
    page.screenshot(path=pictures / "ohif-ai-desktop.png")


def test_a_share_link_opens_its_study_in_ohif_and_no_other(
    product: Product, real_file: Callable[[str], Path], open_page: Callable[..., Page]
) -> None:
    files = [real_file(name) for name in ("JPEG2000_UNC.dcm", "US1_J2KR.dcm")]
    product.pacs("import", *map(str, files))
    uids = [study_of(file) for file in files]
    client = product.client()
    product.wait_for_studies(client, set(uids))
    made = client.post(
        f"/api/v1/studies/{uids[0]}/links", json={"expiresInHours": 1, "basis": "consultation"}
    )
    page = open_page()
    page.goto(made.json()["url"])
    page.get_by_test_id("study-ohif").click(timeout=30_000)
    page.wait_for_function(SHOWN, arg=1, timeout=90_000)
    answers: list[str] = []
    page.on("response", lambda answer: answers.append(f"{answer.status} {answer.url}"))
    page.goto(f"{product.url}/ohif/viewer?StudyInstanceUIDs={uids[1]}")
    page.wait_for_timeout(8000)
    assert page.evaluate(SHOWN, 1) is False
    assert not [said for said in answers if said.startswith("200") and "/frames/" in said]
