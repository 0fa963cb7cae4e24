"""The OHIF viewer's files: for who may read studies, cached for ever, in the reader's language."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.settings import load_settings
from tests.plugins.hospital import CT, RADIOGRAPH, Hospital

RELEASE = "3.13.2-0a1b2c3d"
SCRIPT = "console.log('OHIF')" * 100


@pytest.fixture
def ohif(hospital: Hospital) -> Iterator[Path]:
    folder = hospital.archive.settings.ohif_folder
    (folder / RELEASE).mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>OHIF</title>")
    (folder / "release.json").write_text(json.dumps({"release": RELEASE}))
    script = folder / RELEASE / "app.bundle.1a.js"
    script.write_text(SCRIPT)
    script.with_name(script.name + ".gz").write_bytes(gzip.compress(SCRIPT.encode()))
    (folder / RELEASE / "outside.js").symlink_to(hospital.archive.settings.data_dir)
    yield folder
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()


def test_the_viewer_is_served_to_who_is_signed_in(hospital: Hospital, ohif: Path) -> None:
    browser = hospital.signed_in()
    for path in ("/ohif/", "/ohif/viewer?StudyInstanceUIDs=1.2.3", "/ohif/viewer"):
        answer = browser.get(path)
        assert (answer.status_code, "<title>OHIF" in answer.text) == (200, True), path
        assert answer.headers["cache-control"] == "no-cache"
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self' 'wasm-unsafe-eval' 'unsafe-eval' blob:;" in policy
        assert "connect-src 'self' blob: data:;" in policy
        again = browser.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert browser.get("/ohif").headers["location"] == "/ohif/"
    script = browser.get(f"/ohif/{RELEASE}/app.bundle.1a.js")
    assert script.text == SCRIPT
    assert script.headers["content-encoding"] == "gzip"
    assert script.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert "'unsafe-eval'" not in browser.get("/").headers["content-security-policy"]
    assert hospital.app.state.door.archive.settings.ohif_folder == ohif
    assert browser.get("/api/v1/session").json()["server"]["ohif"] is True


@pytest.mark.parametrize(
    "path",
    [f"/ohif/{RELEASE}/missing.js", f"/ohif/{RELEASE}/..%2f..%2fsecret.txt", "/ohif/release.json"],
)
def test_what_is_no_file_of_the_viewer_is_404(hospital: Hospital, ohif: Path, path: str) -> None:
    assert ohif.is_dir()
    assert hospital.signed_in().get(path).status_code == 404


def test_its_configuration_is_ours_and_calls_nobody_else(hospital: Hospital, ohif: Path) -> None:
    assert ohif.is_dir()
    answer = hospital.signed_in().get("/ohif/app-config.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert f'window.PUBLIC_URL = "/ohif/{RELEASE}/"' in answer.text
    assert 'let chosen = "vi"' in answer.text
    assert "http" not in answer.text.replace("httpErrorHandler", "")
    said = answer.text.partition("window.config = ")[2].partition(";\n")[0]
    (source,) = json.loads(said)["dataSources"]
    assert source["configuration"]["wadoRoot"] == "/dicomweb"
    frames = {"Accept": source["configuration"]["acceptHeader"][0]}
    for name, sent in ((CT, "image/jphc"), (RADIOGRAPH, "image/jp2")):
        picture = hospital.signed_in().get(f"{hospital.path(name)}/frames/1", headers=frames)
        assert f'type="{sent}"' in picture.headers["content-type"], name


def test_nobody_else_gets_it(hospital: Hospital, ohif: Path) -> None:
    assert ohif.is_dir()
    stranger = hospital.client()
    page = stranger.get("/ohif/viewer?StudyInstanceUIDs=1.2.3")
    assert page.status_code == 303
    assert page.headers["location"] == (
        "/sign-in?next=%2Fohif%2Fviewer%3FStudyInstanceUIDs%3D1.2.3"
    )
    assert stranger.get(f"/ohif/{RELEASE}/app.bundle.1a.js").status_code == 401
    assert stranger.get("/ohif/app-config.js").status_code == 401


def test_a_share_link_opens_its_study_in_it_and_nothing_else(
    hospital: Hospital, ohif: Path
) -> None:
    """The requests that OHIF makes for a study, and for its own list of studies."""
    assert ohif.is_dir()
    follower = hospital.follower(CT)
    own = hospital.stored[CT].study_instance_uid
    other = hospital.stored[RADIOGRAPH].study_instance_uid
    assert follower.get(f"/ohif/viewer?StudyInstanceUIDs={own}").status_code == 200
    fields = "00081030%2C00080060%2C00080090%2C00100030"
    listing = f"/dicomweb/studies?limit=101&offset=0&fuzzymatching=true&includefield={fields}"
    for query in ("", f"&StudyInstanceUID={own}", "&00080061=", "&00100020="):
        found = follower.get(listing + query).json()
        assert [study["0020000D"]["Value"][0] for study in found] == [own], query
    assert follower.get(f"{listing}&StudyInstanceUID={other}").status_code in (200, 204)
    assert other not in follower.get(f"{listing}&StudyInstanceUID={other}").text
    for path in (
        f"/dicomweb/studies/{other}/series?includefield=00080021%2C00080031",
        f"{hospital.path(RADIOGRAPH, 'series')}/metadata",
        f"{hospital.path(RADIOGRAPH)}/frames/1",
        f"{hospital.path(RADIOGRAPH)}/thumbnail?viewport=256%2C256",
    ):
        assert follower.get(path).status_code == 404, path
    for path in (f"{hospital.path(CT)}/frames/1", f"{hospital.path(CT)}/thumbnail"):
        assert follower.get(path).status_code == 200, path


def test_a_viewer_that_is_not_installed_says_so(hospital: Hospital) -> None:
    browser = hospital.signed_in()
    answer = browser.get("/ohif/viewer?StudyInstanceUIDs=1.2.3")
    assert answer.status_code == 404
    assert "Chưa cài trình xem OHIF" in answer.text
    assert browser.get("/ohif/app-config.js").status_code == 404
    assert browser.get("/api/v1/session").json()["server"]["ohif"] is False


def test_where_it_lies_is_a_setting(tmp_path: Path) -> None:
    assert load_settings(data_dir=tmp_path).ohif_folder == tmp_path / "ohif"
    assert load_settings(data_dir=tmp_path, ohif_dir=tmp_path / "o").ohif_folder == tmp_path / "o"
