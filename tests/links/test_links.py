"""Share links: one study, for a while, on a recorded ground."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from pacs.archive import Archive
from pacs.ingest import Source
from pacs.links.errors import BadLink, LinkNotFound
from pacs.links.share import (
    LONGEST,
    ShareLink,
    create_link,
    find_link,
    list_links,
    open_link,
    revoke_link,
)

DAY = timedelta(days=1)


@pytest.fixture
def study(archive: Archive, make_file: Callable[..., bytes]) -> str:
    received = archive.ingest.receive([make_file()], Source("import", "test"))
    return received.study_instance_uid


def make(
    archive: Archive, study: str, *, basis: str = "consent", lifetime: timedelta = DAY
) -> tuple[ShareLink, str]:
    with archive.engine.begin() as connection:
        return create_link(connection, study, made_by="user:lan", basis=basis, lifetime=lifetime)


def test_a_link_is_followed_counted_listed_and_revoked(archive: Archive, study: str) -> None:
    made, secret = make(archive, study, basis="  Giấy đề nghị số 5 ")
    assert made.basis == "Giấy đề nghị số 5"
    assert made.expires_at - made.created_at == DAY
    with archive.engine.begin() as connection:
        assert find_link(connection, secret) == made
        assert [open_link(connection, secret) is not None for _ in range(2)] == [True, True]
        (listed,) = list_links(connection, study)
        assert listed.open_count == 2
        assert listed.last_opened_at is not None
        revoked = revoke_link(connection, made.id, revoked_by="user:an")
        assert revoked.revoked_by == "user:an"
        assert find_link(connection, secret) is None
        assert open_link(connection, secret) is None
        again = revoke_link(connection, made.id, revoked_by="user:binh")
        assert (again.revoked_at, again.revoked_by) == (revoked.revoked_at, "user:an")
        assert list_links(connection, study)[0].open_count == 2
        assert list_links(connection, "1.2.3") == []
        with pytest.raises(LinkNotFound):
            revoke_link(connection, made.id + 1, revoked_by="user:an")


def test_the_secret_is_long_new_each_time_and_not_stored(archive: Archive, study: str) -> None:
    secrets = {make(archive, study)[1] for _ in range(20)}
    assert len(secrets) == 20
    with archive.engine.connect() as connection:
        rows = connection.execute(text("SELECT share_links::text FROM share_links")).scalars()
        stored = " ".join(rows)
    for secret in secrets:
        assert len(secret) >= 43
        assert secret not in stored


def test_an_expired_link_opens_nothing(archive: Archive, study: str) -> None:
    _, secret = make(archive, study)
    with archive.engine.begin() as connection:
        connection.execute(text("UPDATE share_links SET expires_at = now()"))
        assert find_link(connection, secret) is None
        assert open_link(connection, secret) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"basis": ""}, "basis"),
        ({"basis": " \n"}, "basis"),
        ({"basis": "x" * 1001}, "basis"),
        ({"basis": "a\0b"}, "basis"),
        ({"lifetime": timedelta(0)}, "lifetime"),
        ({"lifetime": -DAY}, "lifetime"),
        ({"lifetime": LONGEST + timedelta(seconds=1)}, "lifetime"),
    ],
)
def test_links_that_may_not_be(
    archive: Archive, study: str, change: dict[str, object], field: str
) -> None:
    with pytest.raises(BadLink) as refused:
        make(archive, study, **change)  # type: ignore[arg-type]
    assert refused.value.field == field


def test_no_link_to_a_study_that_is_not_here(archive: Archive) -> None:
    with pytest.raises(BadLink) as refused:
        make(archive, "1.2.3")
    assert refused.value.field == "study"


def test_the_database_itself_knows_the_longest_life(archive: Archive, study: str) -> None:
    make(archive, study, lifetime=LONGEST)
    with pytest.raises(IntegrityError), archive.engine.begin() as connection:
        connection.execute(
            text("UPDATE share_links SET expires_at = expires_at + interval '1 day'")
        )


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text(max_size=100))
def test_no_guess_opens_anything(archive: Archive, study: str, guess: str) -> None:
    make(archive, study)
    with archive.engine.begin() as connection:
        assert find_link(connection, guess) is None
        assert open_link(connection, guess) is None
