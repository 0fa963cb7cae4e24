"""Accounts, sign-in and tokens, on a real database."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from pacs.database.engine import connect
from pacs.people.errors import (
    BadUsername,
    ScopeNotPermitted,
    TokenNotFound,
    UserExists,
    UserNotFound,
    WeakPassword,
)
from pacs.people.permissions import Permission, Role, permissions
from pacs.people.sessions import (
    FAILURES_BEFORE_LOCK,
    BadCredentials,
    Locked,
    SignedIn,
    find_session,
    sign_in,
    sign_out,
)
from pacs.people.tokens import authenticate_token, create_token, list_tokens, revoke_token
from pacs.people.users import (
    create_user,
    disable_user,
    enable_user,
    find_user,
    list_users,
    set_password,
    set_role,
)

PASSWORD = "một mật khẩu đủ dài"
HOUR = timedelta(hours=1)


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = connect(database_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def enter(connection: Connection, username: str = "lan", password: str = PASSWORD) -> SignedIn:
    answer = sign_in(connection, username, password, lifetime=HOUR)
    assert isinstance(answer, SignedIn)
    return answer


def column(connection: Connection, statement: str) -> list[object]:
    return list(connection.execute(text(statement)).scalars())


def test_an_account_is_made_listed_and_found_whatever_its_case(connection: Connection) -> None:
    user = create_user(connection, " Lan.Nguyen ", PASSWORD, Role.RADIOLOGIST, "BS Nguyễn Thị Lan")
    assert (user.username, user.full_name, user.role) == (
        "lan.nguyen",
        "BS Nguyễn Thị Lan",
        Role.RADIOLOGIST,
    )
    create_user(connection, "an", PASSWORD, Role.TECHNICIAN)
    assert [one.username for one in list_users(connection)] == ["an", "lan.nguyen"]
    assert find_user(connection, "LAN.NGUYEN") == user
    with pytest.raises(UserExists):
        create_user(connection, "AN", PASSWORD, Role.ADMIN)
    with pytest.raises(UserNotFound):
        find_user(connection, "nobody")
    assert set_role(connection, "an", Role.ADMIN).role is Role.ADMIN


@pytest.mark.parametrize("username", ["", " ", "a b", "-a", "a" * 65, "lân", "a\0", "a\nb"])
def test_usernames_that_cannot_be(connection: Connection, username: str) -> None:
    with pytest.raises(BadUsername):
        create_user(connection, username, PASSWORD, Role.CLINICIAN)


@pytest.mark.parametrize("password", ["", "123456789", "x" * 257, "long-username"])
def test_passwords_that_are_weak(connection: Connection, password: str) -> None:
    with pytest.raises(WeakPassword):
        create_user(connection, "long-username", password, Role.CLINICIAN)


def test_no_secret_is_stored(connection: Connection) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)
    session = enter(connection)
    _, token = create_token(connection, Role.SERVICE, "emr")
    stored = str(
        column(connection, "SELECT users::text FROM users")
        + column(connection, "SELECT sessions::text FROM sessions")
        + column(connection, "SELECT tokens::text FROM tokens")
    )
    assert "$argon2id$" in stored
    for secret in (PASSWORD, session.secret, token, token.removeprefix("filmless_")):
        assert secret not in stored
    assert len(session.secret) >= 43


def test_a_session_lasts_until_it_is_over(connection: Connection) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)
    first, second = enter(connection), enter(connection, " LAN ")
    assert first.secret != second.secret
    found = find_session(connection, first.secret)
    assert found is not None
    assert found.user.username == "lan"
    assert found.user.last_sign_in_at is not None
    sign_out(connection, first.secret)
    assert find_session(connection, first.secret) is None
    assert find_session(connection, second.secret) is not None
    connection.execute(text("UPDATE sessions SET expires_at = now() - interval '1 second'"))
    assert find_session(connection, second.secret) is None
    assert find_session(connection, "") is None


def test_a_new_password_and_disabling_end_all_sessions(connection: Connection) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)
    before = enter(connection)
    set_password(connection, "lan", "một mật khẩu khác")
    assert find_session(connection, before.secret) is None
    assert isinstance(sign_in(connection, "lan", PASSWORD, lifetime=HOUR), BadCredentials)
    after = enter(connection, password="một mật khẩu khác")
    assert disable_user(connection, "lan").disabled
    assert find_session(connection, after.secret) is None
    refused = sign_in(connection, "lan", "một mật khẩu khác", lifetime=HOUR)
    assert isinstance(refused, BadCredentials)
    enable_user(connection, "lan")
    assert find_session(connection, after.secret) is None, "sessions do not come back"
    enter(connection, password="một mật khẩu khác")


@pytest.mark.parametrize("username", ["lan", "nobody"])
def test_failures_lock_for_a_while(connection: Connection, username: str) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)
    for _ in range(FAILURES_BEFORE_LOCK):
        answer = sign_in(connection, username, "wrong", lifetime=HOUR)
        assert isinstance(answer, BadCredentials)
    locked = sign_in(connection, username, PASSWORD, lifetime=HOUR)
    assert isinstance(locked, Locked)
    assert 0 < locked.retry_seconds <= 300
    create_user(connection, "an", PASSWORD, Role.ADMIN)
    enter(connection, "an")
    connection.execute(
        text(
            "UPDATE sign_in_failures SET last_failed_at = last_failed_at - interval '6 minutes',"
            " locked_until = locked_until - interval '6 minutes'"
        )
    )
    answer = sign_in(connection, username, PASSWORD, lifetime=HOUR)
    assert isinstance(answer, SignedIn if username == "lan" else BadCredentials)


def test_success_forgets_failures(connection: Connection) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)
    for _ in range(2):
        for _ in range(FAILURES_BEFORE_LOCK - 1):
            sign_in(connection, "lan", "wrong", lifetime=HOUR)
        enter(connection)


def test_failures_of_made_up_names_do_not_pile_up(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO sign_in_failures (username, failures, last_failed_at) "
            "SELECT 'x' || n, 1, now() - interval '1 hour' FROM generate_series(1, 1000) n"
        )
    )
    sign_in(connection, "nobody", "wrong", lifetime=HOUR)
    assert column(connection, "SELECT count(*) FROM sign_in_failures") == [1]


def test_an_unknown_name_takes_as_long_as_a_known_one(connection: Connection) -> None:
    create_user(connection, "lan", PASSWORD, Role.ADMIN)

    def seconds(username: str) -> float:
        started = perf_counter()
        sign_in(connection, username, "wrong password", lifetime=HOUR)
        return perf_counter() - started

    known, unknown = [], []
    for _ in range(FAILURES_BEFORE_LOCK - 1):
        known.append(seconds("lan"))
        unknown.append(seconds("nobody"))
    assert 0.4 < median(known) / median(unknown) < 2.5


@settings(
    max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_can_be_tried(connection: Connection, username: str, password: str) -> None:
    assert not isinstance(sign_in(connection, username, password, lifetime=HOUR), SignedIn)
    assert find_session(connection, password) is None
    assert authenticate_token(connection, username) is None


def test_a_token_opens_until_it_is_revoked(connection: Connection) -> None:
    made, secret = create_token(connection, Role.SERVICE, "EMR của bệnh viện")
    assert made.scopes == permissions(Role.SERVICE)
    assert made.last_used_at is None
    found = authenticate_token(connection, secret)
    assert found is not None
    assert (found.id, found.name) == (made.id, "EMR của bệnh viện")
    (listed,) = list_tokens(connection)
    assert listed.last_used_at is not None
    assert datetime.now(UTC) - listed.last_used_at < timedelta(minutes=1)
    assert revoke_token(connection, made.id).revoked_at is not None
    assert authenticate_token(connection, secret) is None
    first = revoke_token(connection, made.id).revoked_at
    assert list_tokens(connection)[0].revoked_at == first
    with pytest.raises(TokenNotFound):
        revoke_token(connection, made.id + 1)


def test_a_token_expires(connection: Connection) -> None:
    _, secret = create_token(connection, Role.SERVICE, "short", expires=HOUR)
    assert authenticate_token(connection, secret) is not None
    connection.execute(text("UPDATE tokens SET expires_at = now()"))
    assert authenticate_token(connection, secret) is None


def test_a_token_holds_no_more_than_its_role(connection: Connection) -> None:
    scopes = {Permission.READ_STUDIES}
    made, secret = create_token(connection, Role.TECHNICIAN, "viewer", scopes=scopes)
    assert made.scopes == scopes
    with pytest.raises(ScopeNotPermitted, match="users:write"):
        create_token(connection, Role.TECHNICIAN, "x", scopes={Permission.MANAGE_USERS})
    with pytest.raises(ScopeNotPermitted):
        create_token(connection, Role.TECHNICIAN, "x", scopes=set())
    connection.execute(text("UPDATE tokens SET scopes = '{dicomweb:read,users:write,gone:now}'"))
    found = authenticate_token(connection, secret)
    assert found is not None
    assert found.scopes == scopes


def test_every_role_is_in_the_table() -> None:
    for role in Role:
        assert Permission.READ_STUDIES in permissions(role)
        assert (Permission.EXPORT in permissions(role)) == (role is not Role.CLINICIAN)
        assert (Permission.MANAGE_USERS in permissions(role)) == (role is Role.ADMIN)
