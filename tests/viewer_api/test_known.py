"""Whom the server knows for a moment, and when it asks the database again."""

from datetime import UTC, datetime, timedelta

from pacs.index.query import Scope
from viewer_api.access import Principal
from viewer_api.known import KNOWN_SECONDS, KnownPrincipals


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


SOMEBODY = Principal("user:an", frozenset(), Scope())


def test_nobody_is_known_unless_changes_are_heard_of() -> None:
    known = KnownPrincipals()
    known.keep("secret", SOMEBODY, None, known.turn())
    assert known.find("secret") is None
    known.listening(hears=True)
    known.keep("secret", SOMEBODY, None, known.turn())
    assert known.find("secret") == SOMEBODY
    assert known.find("another") is None
    known.listening(hears=False)
    assert known.find("secret") is None


def test_known_for_a_moment_and_never_beyond_the_end() -> None:
    clock = Clock()
    known = KnownPrincipals(clock)
    known.listening(hears=True)
    known.keep("long", SOMEBODY, datetime.now(UTC) + timedelta(hours=1), known.turn())
    known.keep("short", SOMEBODY, datetime.now(UTC) + timedelta(seconds=2), known.turn())
    clock.now += 1.5
    assert known.find("long") and known.find("short")
    clock.now += 0.6
    assert known.find("long") and not known.find("short")
    clock.now += KNOWN_SECONDS
    assert not known.find("long")


def test_a_change_while_the_database_was_asked_is_not_missed() -> None:
    known = KnownPrincipals()
    known.listening(hears=True)
    turn = known.turn()
    known.forget()  # the right was lost after the database had answered
    known.keep("secret", SOMEBODY, None, turn)
    assert known.find("secret") is None


def test_the_oldest_make_room() -> None:
    known = KnownPrincipals()
    known.listening(hears=True)
    for number in range(1500):
        known.keep(str(number), SOMEBODY, None, known.turn())
    assert known.find("0") is None
    assert known.find("1499") == SOMEBODY
