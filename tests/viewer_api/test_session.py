"""Signing in and out, as browsers do."""

import httpx2
import pytest

from pacs.people.users import disable_user, enable_user
from tests.plugins.hospital import PASSWORD, Hospital

SESSION = "/api/v1/session"


def sign_in(client: httpx2.Client, username: str, password: str = PASSWORD) -> httpx2.Response:
    return client.post(SESSION, json={"username": username, "password": password})


def test_a_session_from_sign_in_to_sign_out(hospital: Hospital) -> None:
    client = hospital.client()
    assert client.get(SESSION).status_code == 401
    answer = sign_in(client, " Technician ")
    assert answer.json()["user"] == {
        "username": "technician",
        "fullName": "Người technician",
        "role": "technician",
    }
    server = answer.json()["server"]
    assert server["institution"] == "Bệnh viện tỉnh"
    assert server["language"] == "vi"
    assert server["researchModels"] is False
    assert set(server["waitingTargetMinutes"]) == {"critical", "urgent", "routine"}
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert client.get(SESSION).json() == answer.json()
    secret = client.cookies["filmless_session"]
    assert client.delete(SESSION).status_code == 204
    assert client.get(SESSION).status_code == 401
    stolen = hospital.client(headers={"Cookie": f"filmless_session={secret}"})
    assert stolen.get(SESSION).status_code == 401
    actions = [event.action for event in hospital.audit(actor="user:technician")]
    assert actions[0] == "session.closed"
    assert "session.opened" in actions


def test_the_cookie_is_secure_where_the_request_came_by_https(hospital: Hospital) -> None:
    client = hospital.client(headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in sign_in(client, "admin").headers["set-cookie"]


@pytest.mark.parametrize(("username", "password"), [("clinician", "wrong"), ("nobody", PASSWORD)])
def test_wrong_credentials_are_told_apart_by_nothing(
    hospital: Hospital, username: str, password: str
) -> None:
    answer = sign_in(hospital.client(), username, password)
    assert (answer.status_code, answer.json()["code"]) == (401, "bad_credentials")
    assert "set-cookie" not in answer.headers
    event = hospital.audit(actor="anonymous", action="session.refused")[0]
    assert event.outcome == "refused"
    assert event.detail == {"username": username, "locked": False}
    assert event.address == "127.0.0.1"


def test_repeated_failures_lock_known_and_unknown_names_alike(hospital: Hospital) -> None:
    client = hospital.client()
    for username in ("service", "no such person"):
        for _ in range(5):
            assert sign_in(client, username, "wrong").status_code == 401
        for password in ("wrong", PASSWORD):
            answer = sign_in(client, username, password)
            assert (answer.status_code, answer.json()["code"]) == (429, "locked")
            assert 0 < int(answer.headers["retry-after"]) <= 300


def test_a_disabled_account_is_out_at_once(hospital: Hospital) -> None:
    client = hospital.signed_in("radiologist")
    with hospital.archive.engine.begin() as connection:
        disable_user(connection, "radiologist")
    try:
        assert client.get(SESSION).status_code == 401
        assert sign_in(hospital.client(), "radiologist").status_code == 401
    finally:
        with hospital.archive.engine.begin() as connection:
            enable_user(connection, "radiologist")
    assert sign_in(hospital.client(), "radiologist").status_code == 200


def test_another_sites_page_cannot_sign_anybody_in(hospital: Hospital) -> None:
    client = hospital.client(headers={"Origin": "https://evil.example"})
    assert sign_in(client, "admin").status_code == 403


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"username":"a"}', b'{"username":"","password":"x"}', b"\xff\xfe"],
)
def test_malformed_sign_ins_are_refused_without_repeating_them(
    hospital: Hospital, body: bytes
) -> None:
    answer = hospital.client().post(
        SESSION, content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_password_sent_wrongly_is_not_sent_back(hospital: Hospital) -> None:
    answer = hospital.client().post(SESSION, json={"username": 1, "password": ["s3cret-word"]})
    assert answer.status_code == 422
    assert "s3cret-word" not in answer.text
    assert "\0" not in sign_in(hospital.client(), "a\0b", "c\0d").text
