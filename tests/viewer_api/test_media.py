"""A study taken away as a ZIP of DICOM media: by who may read it, and each time on record."""

import io
import zipfile

import pytest

from tests.plugins.hospital import CT, RADIOGRAPH, Hospital, file_of

ZIP = {"Accept": "application/zip"}


def test_a_study_is_had_as_media(hospital: Hospital) -> None:
    study = hospital.stored[RADIOGRAPH].study_instance_uid
    browser = hospital.signed_in()
    before = len(hospital.audit(study_instance_uid=study, action="study.exported"))
    by_header = browser.get(hospital.path(RADIOGRAPH, "study"), headers=ZIP)
    by_link = browser.get(hospital.path(RADIOGRAPH, "study") + "?accept=application/zip")
    for answer in (by_header, by_link):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/zip"
        assert answer.headers["content-disposition"] == f'attachment; filename="{study}.zip"'
        assert answer.headers["cache-control"] == "no-store"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as media:
            assert {"DICOMDIR", "README.TXT", "index.html", "MANIFEST.SHA256"} <= set(
                media.namelist()
            )
            assert file_of(RADIOGRAPH).read_bytes() in [
                media.read(name) for name in media.namelist() if name.startswith("DICOM/")
            ]
    events = hospital.audit(study_instance_uid=study, action="study.exported")
    assert len(events) == before + 2
    assert events[0].actor == "user:radiologist"
    assert events[0].detail["form"] == "zip"


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        'multipart/related; type="application/dicom"',
        'multipart/related; type="application/dicom", application/zip; q=0.5',
        "application/zip; q=0",
    ],
)
def test_who_asks_for_objects_gets_no_zip(hospital: Hospital, accept: str) -> None:
    answer = hospital.machine().get(hospital.path(CT, "study"), headers={"Accept": accept})
    assert "zip" not in answer.headers["content-type"]


def test_a_share_link_takes_its_own_study_away_and_no_other(hospital: Hospital) -> None:
    follower = hospital.follower(CT)
    assert follower.get(hospital.path(CT, "study"), headers=ZIP).status_code == 200
    assert follower.get(hospital.path(RADIOGRAPH, "study"), headers=ZIP).status_code == 404
    event = hospital.audit(action="study.exported")[0]
    assert event.actor.startswith("link:")


def test_nobody_else_does(hospital: Hospital) -> None:
    assert hospital.client().get(hospital.path(CT, "study"), headers=ZIP).status_code == 401
    missing = hospital.machine().get("/dicomweb/studies/1.2.3.4", headers=ZIP)
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"
    series = hospital.machine().get(hospital.path(CT, "series"), headers=ZIP)
    assert series.status_code == 406


def test_who_may_read_may_not_therefore_copy(hospital: Hospital) -> None:
    path = hospital.path(CT, "study")
    for somebody in (hospital.machine("clinician"), hospital.signed_in("clinician")):
        assert somebody.get(path).status_code == 200
        refused = somebody.get(path, headers=ZIP)
        assert refused.status_code == 403
        assert "studies:export" in refused.json()["detail"]
        assert "studies:export" not in somebody.get("/api/v1/session").json()["permissions"]
    assert hospital.audit(action="access.refused")[0].detail == {"permission": "studies:export"}
    follower = hospital.follower(CT)
    assert follower.get(path, headers=ZIP).status_code == 200
    assert follower.get("/api/v1/session").json()["permissions"] == [
        "dicomweb:read",
        "studies:export",
    ]
