"""What the server knows for a moment, and when it asks the database again."""

from datetime import UTC, datetime, timedelta

from viewer_api.known import KNOWN_SECONDS, Known


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_known_unless_withdrawals_are_heard_of() -> None:
    known = Known[str](10)
    known.keep("key", "value", known.turn())
    assert known.find("key") is None
    known.listening(hears=True)
    known.keep("key", "value", known.turn())
    assert known.find("key") == "value"
    assert known.find("another") is None
    known.listening(hears=False)
    assert known.find("key") is None


def test_known_for_a_moment_and_never_beyond_its_end() -> None:
    clock = Clock()
    known = Known[str](10, clock)
    known.listening(hears=True)
    known.keep("long", "value", known.turn(), datetime.now(UTC) + timedelta(hours=1))
    known.keep("short", "value", known.turn(), datetime.now(UTC) + timedelta(seconds=2))
    clock.now += 1.5
    assert known.find("long") and known.find("short")
    clock.now += 0.6
    assert known.find("long") and not known.find("short")
    clock.now += KNOWN_SECONDS
    assert not known.find("long")


def test_a_withdrawal_while_the_database_was_asked_is_not_missed() -> None:
    known = Known[str](10)
    known.listening(hears=True)
    turn = known.turn()
    known.forget()  # after the database had answered
    known.keep("key", "value", turn)
    assert known.find("key") is None


def test_the_oldest_make_room() -> None:
    known = Known[int](1000)
    known.listening(hears=True)
    for number in range(1500):
        known.keep(number, number, known.turn())
    assert known.find(499) is None
    assert known.find(500) == 500
    assert known.find(1499) == 1499
