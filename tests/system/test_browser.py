"""The radiologist's way in Chromium: sign in, see a study arrive, open it, heat map on.

With FILMLESS_SCREENSHOTS=docs/screenshots the pages are pictured on the way, in both languages and
at both sizes; otherwise the pictures go to the test's own folder.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.plugins.dcmtk import send_by_storescu
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.browser, pytest.mark.timeout(600)]

CHEST = "1.3.6.1.4.1.5962.1.2.9.20040826185059.5457"
PASSWORD = "trực đêm ở bệnh viện huyện"
SIZES = {"desktop": (1366, 768), "phone": (390, 844)}
RENDERED = "[data-testid=study-viewport][data-rendered=true]"


def sign_in(page: Page, product: Product) -> None:
    page.goto(product.url)
    page.get_by_test_id("sign-in-username").fill("bs.an")
    page.get_by_test_id("sign-in-password").fill(PASSWORD)
    page.get_by_test_id("sign-in-submit").click()
    expect(page.get_by_test_id("search")).to_be_visible(timeout=20_000)


def picture(page: Page, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    return path


def pixels(page: Page, folder: Path, name: str) -> np.ndarray:
    path = folder / f"{name}-viewport.png"
    page.locator(RENDERED).screenshot(path=path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


@pytest.fixture
def product(product_on_either: Product) -> Product:
    product = product_on_either
    product.pacs(
        *("users", "add", "bs.an", "--role", "radiologist"),
        *("--full-name", "BS. Trần Thị An", "--password-stdin"),
        typed=PASSWORD,
    )
    return product


def test_a_study_arrives_is_opened_and_the_heat_map_switched_on(
    product: Product,
    real_file: Callable[[str], Path],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    pictures = Path(os.environ.get("FILMLESS_SCREENSHOTS", tmp_path))
    page = open_page(*SIZES["desktop"])
    page.goto(product.url)
    expect(page.get_by_test_id("sign-in-username")).to_be_visible(timeout=20_000)
    sign_in(page, product)
    expect(page.get_by_test_id("worklist-row")).to_have_count(0)
    picture(page, pictures, "worklist-empty-vi-desktop")

    for name in ("693_UNCR.dcm", "US1_UNCR.dcm", "RG3_UNCR.dcm", "MR2_UNCR.dcm"):
        send_by_storescu(product.dicom_port, real_file(name))
    expect(page.get_by_test_id("worklist-row")).to_have_count(4, timeout=20_000)
    send_by_storescu(product.dicom_port, real_file("RG1_UNCR.dcm"))
    chest = page.locator(f"[data-testid=worklist-row][data-study-uid='{CHEST}']")
    expect(chest).to_be_visible(timeout=20_000)
    first = page.get_by_test_id("worklist-row").first
    expect(first).to_have_attribute("data-study-uid", CHEST, timeout=120_000)
    expect(page.get_by_test_id("research-banner")).to_be_visible()
    first.click()
    page.wait_for_selector(RENDERED, timeout=60_000)
    expect(page.get_by_test_id("patient-banner")).to_contain_text("9RG1")
    page.wait_for_timeout(500)
    plain = pixels(page, tmp_path, "plain")
    the_chest_is_the_right_way_round(plain)
    page.keyboard.press("h")
    expect(page.get_by_test_id("heatmap-layer")).to_be_visible(timeout=20_000)
    page.wait_for_timeout(1000)
    coloured = pixels(page, tmp_path, "coloured")
    picture(page, pictures, "heat-map-vi-desktop")
    assert np.ptp(plain, axis=2).mean() < 1
    assert np.ptp(coloured, axis=2).mean() > 5
    in_both_languages_at_both_sizes(product, open_page, pictures)


def the_chest_is_the_right_way_round(viewport: np.ndarray) -> None:
    """MONOCHROME1: the spine is bright, the lungs beside it are dark."""
    height, width, _ = viewport.shape
    row = viewport[int(height * 0.35) : int(height * 0.5), :, 0].mean(axis=0)
    middle = row[int(width * 0.47) : int(width * 0.53)].mean()
    lung = row[int(width * 0.36) : int(width * 0.42)].mean()
    assert middle > lung + 20


def in_both_languages_at_both_sizes(
    product: Product, open_page: Callable[..., Page], pictures: Path
) -> None:
    for (device, size), language in itertools.product(SIZES.items(), ("vi", "en")):
        page = open_page(*size)
        page.goto(product.url)
        expect(page.get_by_test_id("sign-in-username")).to_be_visible(timeout=20_000)
        if page.locator("html").get_attribute("lang") != language:
            page.get_by_test_id("language-switch").click()
        expect(page.locator("html")).to_have_attribute("lang", language)
        picture(page, pictures, f"sign-in-{language}-{device}")
        sign_in(page, product)
        expect(page.get_by_test_id("worklist-row").first).to_be_visible(timeout=20_000)
        page.wait_for_timeout(1500)
        picture(page, pictures, f"worklist-{language}-{device}")
        page.locator(f"[data-testid=worklist-row][data-study-uid='{CHEST}']").click()
        page.wait_for_selector(RENDERED, timeout=60_000)
        page.wait_for_timeout(500)
        picture(page, pictures, f"study-{language}-{device}")


def test_a_search_without_diacritics_and_by_keyboard(
    product: Product,
    make_file: Callable[..., bytes],
    open_page: Callable[..., Page],
    tmp_path: Path,
) -> None:
    for number, name in enumerate(("Nguyễn^Văn^Đức", "Trần^Thị^Hoà")):
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(make_file(PatientName=name, PatientID=f"07900{number}"))
        send_by_storescu(product.dicom_port, file)
    page = open_page()
    sign_in(page, product)
    expect(page.get_by_test_id("worklist-row")).to_have_count(2, timeout=20_000)
    page.keyboard.press("/")
    page.keyboard.type("nguyen duc")
    expect(page.get_by_test_id("worklist-row")).to_have_count(1, timeout=10_000)
    expect(page.get_by_test_id("worklist-row")).to_contain_text("Nguyễn Văn Đức")
