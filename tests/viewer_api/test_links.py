"""Share links, from making to revoking."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import text

from tests.plugins.hospital import CT, RADIOGRAPH, Hospital

BASIS = "Người bệnh yêu cầu bằng văn bản"


def links_of(hospital: Hospital, name: str) -> str:
    return f"/api/v1/studies/{hospital.stored[name].study_instance_uid}/links"


def make(
    client: httpx2.Client, path: str, hours: float = 24, basis: str = BASIS
) -> httpx2.Response:
    return client.post(path, json={"expiresInHours": hours, "basis": basis})


def test_a_link_is_made_followed_counted_and_revoked(hospital: Hospital) -> None:
    doctor = hospital.signed_in()
    path = links_of(hospital, RADIOGRAPH)
    made = make(doctor, path)
    assert made.status_code == 201
    assert made.json()["url"].startswith(f"{hospital.url}/s/")
    uid = hospital.stored[RADIOGRAPH].study_instance_uid

    patient = hospital.client()
    answer = patient.get(urlsplit(made.json()["url"]).path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/study/{uid}")
    assert "HttpOnly" in answer.headers["set-cookie"]
    session = patient.get("/api/v1/session").json()
    assert session["user"] is None
    assert session["link"]["studyInstanceUID"] == uid
    page = patient.get(f"/api/v1/studies/{uid}").json()
    assert page["study"]["studyInstanceUID"] == uid
    assert page["priors"] == []

    row = next(row for row in doctor.get(path).json() if row["id"] == made.json()["id"])
    assert row["basis"] == BASIS
    assert row["madeBy"] == "user:radiologist"
    assert row["openCount"] == 1
    assert row["revokedAt"] is None
    assert "url" not in row

    assert doctor.delete(f"/api/v1/links/{row['id']}").status_code == 204
    assert patient.get(f"/api/v1/studies/{uid}").status_code == 401
    assert patient.get(f"{hospital.path(RADIOGRAPH)}/frames/1").status_code == 401
    assert patient.get(urlsplit(made.json()["url"]).path).status_code == 404
    assert doctor.delete(f"/api/v1/links/{row['id']}").status_code == 204
    actions = {event.action for event in hospital.audit(study_instance_uid=uid)}
    assert {"link.created", "link.opened", "link.revoked", "study.opened"} <= actions
    assert hospital.audit(actor=f"link:{row['id']}")


def test_an_expired_link_opens_nothing(hospital: Hospital) -> None:
    patient = hospital.follower(CT)
    assert patient.get(hospital.path(CT)).status_code == 200
    with hospital.archive.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE share_links SET created_at = created_at - interval '2 hours', "
                "expires_at = now() - interval '1 second'"
            )
        )
    assert patient.get(hospital.path(CT)).status_code == 401


def test_a_link_that_is_none_is_said_to_be_none(hospital: Hospital) -> None:
    for secret in ("nothing", "x" * 5000, "%F0%9F%92%A9", "..%2f.."):
        answer = hospital.client().get(f"/s/{secret}")
        assert answer.status_code == 404, secret
    answer = hospital.client().get("/s/nothing")
    assert "không còn hiệu lực" in answer.text
    assert "set-cookie" not in answer.headers
    assert hospital.audit(action="link.refused")[0].outcome == "refused"


def test_following_a_link_takes_nothing_from_who_is_signed_in(hospital: Hospital) -> None:
    doctor = hospital.signed_in()
    url = make(doctor, links_of(hospital, CT)).json()["url"]
    assert doctor.get(urlsplit(url).path).status_code == 303
    assert doctor.get("/api/v1/worklist").status_code == 200
    assert doctor.delete("/api/v1/session").status_code == 204
    assert doctor.get("/api/v1/session").status_code == 401


@pytest.mark.parametrize(
    ("hours", "basis", "status"),
    [(0, BASIS, 422), (-1, BASIS, 422), (721, BASIS, 422), (1, "", 422), (1, "  ", 400)],
)
def test_links_without_end_or_ground_are_not_made(
    hospital: Hospital, hours: float, basis: str, status: int
) -> None:
    answer = make(hospital.signed_in(), links_of(hospital, CT), hours, basis)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_no_link_for_a_study_that_is_not_here(hospital: Hospital) -> None:
    doctor = hospital.signed_in()
    assert make(doctor, "/api/v1/studies/1.2.3/links").status_code == 404
    assert make(doctor, "/api/v1/studies/x/links").status_code == 400
    for link in ("999999", "x", "9" * 30, "-1"):
        assert doctor.delete(f"/api/v1/links/{link}").status_code == 404


def test_a_link_lasts_thirty_days_at_most(hospital: Hospital) -> None:
    made = make(hospital.signed_in(), links_of(hospital, CT), 30 * 24).json()
    assert made["expiresAt"].endswith("Z")
    assert timedelta(days=30).total_seconds() == 30 * 24 * 3600
