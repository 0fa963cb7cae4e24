"""Nothing answers without credentials, and a share link reaches one study alone."""

import itertools
from collections.abc import Iterator

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from tests.plugins.hospital import CT, RADIOGRAPH, Hospital

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/api/v1/session"),
    ("GET", "/s/{secret}"),
    ("GET", "/viewer"),
    # Redirects: to /ohif/, and from there to the sign-in (tests/viewer_api/test_ohif.py).
    ("GET", "/ohif"),
    ("GET", "/ohif/{path:path}"),
    ("GET", "/{path:path}"),
}
# WebSockets: tests/viewer_api/test_workitem_lines.py tries who may open one.
LINES = {"/dicomweb/ws/subscribers/{aet}", "/dicomweb/subscribers/{aet}"}


def routes(hospital: Hospital) -> Iterator[tuple[str, str]]:
    """Every method and path template that the application knows."""
    for route in iter_route_contexts(hospital.app.routes):
        if route.path in LINES:
            continue
        assert route.path and route.methods, f"{route} is not checked by these tests"
        for method in sorted(route.methods):
            yield method, route.path


def filled(hospital: Hospital, template: str, name: str) -> str:
    """The path with the UIDs of the instance that a file became."""
    stored = hospital.stored[name]
    values = {
        "study": stored.study_instance_uid,
        "series": stored.series_instance_uid,
        "instance": stored.sop_instance_uid,
        "frames": "1",
        "link": "1",
        "workitem": "1.2.3",
        "aet": "AE",
        "requester": "AE",
        "rejection": "1",
        "title": "113001%5EDCM",
        "secret": "x" * 43,
        "path:path": "some/thing",
        "resource:path": "Patient",
    }
    for key, value in values.items():
        template = template.replace(f"{{{key}}}", value)
    assert "{" not in template, template
    return template


def test_the_walk_sees_every_door(hospital: Hospital) -> None:
    found = set(routes(hospital))
    assert len(found) >= 45
    assert found >= PUBLIC
    for path in ("/dicomweb/studies", "/fhir/ImagingStudy", "/api/v1/worklist", "/metrics"):
        assert ("GET", path) in found


@pytest.mark.parametrize(
    "credentials",
    [
        {},
        {"Authorization": "Bearer filmless_wrong"},
        {"Authorization": "Basic YWRtaW46YWRtaW4="},
        {"Cookie": "filmless_session=wrong; filmless_link=wrong"},
    ],
)
def test_no_route_answers_without_credentials(
    hospital: Hospital, credentials: dict[str, str]
) -> None:
    client = hospital.client(headers=credentials)
    for method, template in routes(hospital):
        if (method, template) in PUBLIC:
            continue
        answer = client.request(method, filled(hospital, template, RADIOGRAPH))
        assert answer.status_code == 401, f"{method} {template}"
        if method != "HEAD":
            assert answer.json().get("code", "unauthenticated") == "unauthenticated"


def test_the_public_routes_tell_nothing_of_patients(hospital: Hospital) -> None:
    client = hospital.client()
    uid = hospital.stored[RADIOGRAPH].study_instance_uid
    for method, template in PUBLIC:
        answer = client.request(method, filled(hospital, template, RADIOGRAPH))
        assert uid not in answer.text
    answer = client.get("/viewer", params={"requestType": "STUDY", "studyUID": uid})
    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/sign-in?next=")


def marks(hospital: Hospital, name: str) -> list[str]:
    """What would betray the study of a file: its UIDs and its patient."""
    stored = hospital.stored[name]
    document = hospital.machine().get(f"{hospital.path(name)}/metadata").json()[0]
    return [
        stored.study_instance_uid,
        stored.series_instance_uid,
        stored.sop_instance_uid,
        document["00100020"]["Value"][0],
        document["00100010"]["Value"][0]["Alphabetic"],
    ]


def test_a_link_reaches_no_other_study_on_any_route(hospital: Hospital) -> None:
    """Every route, with the identifiers of another study, and with none."""
    follower = hospital.follower(RADIOGRAPH)
    others = marks(hospital, CT)
    reached = 0
    for method, template in routes(hospital):
        if template in ("/healthz", "/readyz", "/api/v1/events", "/s/{secret}"):
            continue
        if (method, template) == ("DELETE", "/api/v1/session"):
            continue
        path = filled(hospital, template, CT)
        answer = follower.request(method, path)
        if "{study}" in template:
            assert answer.status_code in (401, 403, 404), f"{method} {template}"
            betrayed = [mark for mark in others if mark in answer.text and mark not in path]
        else:
            betrayed = [mark for mark in others if mark in answer.text]
        assert not betrayed, f"{method} {template} tells {betrayed}"
        reached += 1
    assert reached >= 40


@pytest.mark.parametrize(
    "path",
    [
        "/dicomweb/studies?StudyInstanceUID={study}",
        "/dicomweb/studies?PatientName=*",
        "/dicomweb/series?SeriesInstanceUID={series}&includefield=all",
        "/dicomweb/instances?SOPInstanceUID={instance}",
        "/dicomweb/studies/{own}/instances?StudyInstanceUID={study}",
        "/dicomweb/studies/{own}/series/{series}/instances",
        "/dicomweb/studies/{own}/series/{series}/metadata",
        "/dicomweb/studies/{own}/series/{series}/instances/{instance}",
        "/dicomweb/studies/{own}/series/{series}/instances/{instance}/frames/1",
        "/dicomweb/studies/{own}/series/{series}/instances/{instance}/rendered",
        "/dicomweb/studies/{own}/series/{series}/thumbnail",
        "/api/v1/studies/{study}",
        "/viewer?requestType=STUDY&studyUID={study}",
        "/viewer?requestType=PATIENT&patientID=1CT1",
    ],
)
def test_a_link_cannot_be_talked_into_another_study(hospital: Hospital, path: str) -> None:
    follower = hospital.follower(RADIOGRAPH)
    other = hospital.stored[CT]
    asked = path.format(
        own=hospital.stored[RADIOGRAPH].study_instance_uid,
        study=other.study_instance_uid,
        series=other.series_instance_uid,
        instance=other.sop_instance_uid,
    )
    answer = follower.get(asked)
    if answer.status_code == 200:
        assert answer.json() == [] or "CompressedSamples^CT1" not in answer.text
        assert other.study_instance_uid not in answer.text
    else:
        assert answer.status_code in (400, 404), answer.text
    everyone = hospital.machine().get(asked)
    assert everyone.status_code in (200, 302, 400, 404)


def test_a_link_opens_its_own_study_whole(hospital: Hospital) -> None:
    follower = hospital.follower(CT)
    own = hospital.stored[CT].study_instance_uid
    for path in (
        hospital.path(CT),
        f"{hospital.path(CT)}/metadata",
        f"{hospital.path(CT)}/frames/1",
        f"{hospital.path(CT)}/rendered",
        f"{hospital.path(CT, 'series')}/thumbnail",
        f"/api/v1/studies/{own}",
    ):
        assert follower.get(path).status_code == 200, path
    found = follower.get("/dicomweb/studies").json()
    assert [study["0020000D"]["Value"] for study in found] == [[own]]
    assert follower.get("/api/v1/session").json()["link"]["studyInstanceUID"] == own
    for path in ("/api/v1/worklist", "/fhir/ImagingStudy", "/metrics", "/api/v1/audit"):
        assert follower.get(path).status_code == 403, path
    assert follower.post("/dicomweb/studies").status_code == 403


# What each role may do, tried at a door that needs it.
DOORS = {
    "dicomweb:read": ("GET", "/dicomweb/studies", 200),
    "dicomweb:write": ("POST", "/dicomweb/studies", 415),
    "worklist:read": ("GET", "/api/v1/worklist", 200),
    "fhir:read": ("GET", "/fhir/ImagingStudy", 200),
    "links:write": ("DELETE", "/api/v1/links/999999", 404),
    "audit:read": ("GET", "/api/v1/audit", 200),
    "metrics:read": ("GET", "/metrics", 200),
}
ALLOWED = {
    "admin": set(DOORS),
    "radiologist": {"dicomweb:read", "worklist:read", "fhir:read", "links:write"},
    "clinician": {"dicomweb:read", "worklist:read", "fhir:read", "links:write"},
    "technician": {"dicomweb:read", "dicomweb:write", "worklist:read"},
    "service": {
        "dicomweb:read",
        "dicomweb:write",
        "worklist:read",
        "fhir:read",
        "links:write",
        "metrics:read",
    },
}


@pytest.mark.parametrize("role", ALLOWED)
def test_each_role_may_do_what_it_may_and_no_more(hospital: Hospital, role: str) -> None:
    for client, (permission, (method, path, status)) in itertools.product(
        (hospital.machine(role), hospital.signed_in(role)), DOORS.items()
    ):
        answer = client.request(method, path)
        expected = status if permission in ALLOWED[role] else 403
        assert answer.status_code == expected, f"{role}: {method} {path}"


def test_a_token_decides_alone_even_beside_a_good_session(hospital: Hospital) -> None:
    client = hospital.signed_in()
    answer = client.get("/api/v1/worklist", headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 404),
        ({}, 404),
    ],
)
def test_another_sites_page_writes_nothing(
    hospital: Hospital, headers: dict[str, str], status: int
) -> None:
    answer = hospital.signed_in().delete("/api/v1/links/999999", headers=headers)
    assert answer.status_code == status


def test_our_own_pages_may_write(hospital: Hospital) -> None:
    client = hospital.signed_in()
    answer = client.delete("/api/v1/links/999999", headers={"Origin": hospital.url})
    assert answer.status_code == 404


def test_every_answer_carries_the_headers_that_protect(hospital: Hospital) -> None:
    for path in ("/", "/healthz", "/dicomweb/studies", "/sign-in"):
        headers = hospital.client().get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'self'" in policy
        assert "'unsafe-eval'" not in policy
        assert "server" not in headers


def assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


def test_what_is_malformed_is_refused_before_anything_is_asked(hospital: Hospital) -> None:
    client = hospital.machine()
    assert_problem(client.get("/dicomweb/studies?PatientName=a%00b"), 400, "bad_request")
    assert_problem(client.get("/dicomweb/studies?a=" + "x" * 40_000), 414, "uri_too_long")
    assert_problem(client.get("/healthz", headers={"Host": "a/b"}), 400, "bad_request")
    assert_problem(client.get("/healthz", headers={"X": "y" * 70_000}), 431, "headers_too_large")
    assert_problem(client.post("/api/v1/session", content=b"x" * 70_000), 413, "too_large")
    endless = (b"x" * 10_000 for _ in range(10))
    assert_problem(client.post("/api/v1/session", content=endless), 413, "too_large")
    assert_problem(client.post("/api/v1/session", json={"a": 1}), 422, "invalid_request")
    assert_problem(client.put("/api/v1/worklist"), 405, "method_not_allowed")
    assert_problem(client.get("/dicomweb/nothing"), 404, "not_found")
