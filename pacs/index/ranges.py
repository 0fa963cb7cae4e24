"""Range matching of dates and times (PS3.4 C.2.2.2.5): a value as its bounds."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone

from pacs.index.attributes import QueryError

_MOMENT = r"\d{4}(?:\d\d){0,5}(?:\.\d{1,6})?(?:[+-](?:0\d|1[0-4])[0-5]\d(?!\d))?"
_MOMENTS = re.compile(rf"({_MOMENT})?(-)?({_MOMENT})?")
_PARTS = re.compile(
    r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.(\d{1,6}))?(?:([+-])(\d\d)(\d\d))?"
)
_TIME = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$")


def date_range(tag: str, value: str) -> tuple[date | None, date | None]:
    """First and last day, both included, None where open. Raises QueryError."""
    low, high = _bounds(tag, value)
    return _date(tag, low), _date(tag, high)


def time_range(tag: str, value: str) -> tuple[time | None, time | None]:
    """First and last moment, both included, None where open. Raises QueryError.

    A time without minutes or seconds stands for all of that hour or minute.
    """
    low, high = _bounds(tag, value)
    return _time(tag, low, fill=(0, 0, 0)), _time(tag, high, fill=(59, 59, 999_999))


def datetime_range(tag: str, value: str) -> tuple[datetime | None, datetime | None]:
    """First and last moment, both included, None where open, of DTs (PS3.5 6.2).

    Raises QueryError.

    What is less precise than a microsecond stands for all of that year, month, ... or second. A
    hyphen before what can be an offset from UTC begins the offset. Without one it is local time.
    """
    found = _MOMENTS.fullmatch(value.strip())
    low, dash, high = found.groups() if found else (None, None, None)
    if not (low or high) or (low and high and not dash):
        raise QueryError(tag, f"{value[:60]!r} is no date and time (YYYYMMDDHHMMSS), nor a range")
    first = None if low is None else moments(tag, low)[0]
    if dash is None and low is not None:
        return moments(tag, low)
    return first, None if high is None else moments(tag, high)[1]


def moments(tag: str, text: str) -> tuple[datetime, datetime]:
    """The first and the last moment that a DT stands for. Raises QueryError."""
    found = _PARTS.fullmatch(text) if text.isascii() else None
    if not found:
        raise QueryError(tag, f"{text[:60]!r} is no date and time (YYYYMMDDHHMMSS)")
    *parts, fraction, sign, hours, minutes = found.groups()
    given = [int(part) for part in parts if part is not None]
    year, month, day, hour, minute, second = [*given, *(1, 1, 1, 0, 0, 0)[len(given) :]]
    micro = int((fraction or "").ljust(6, "0"))
    try:
        zone = None
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            zone = timezone(offset if sign == "+" else -offset)
        # A leap second (PS3.5 6.2 allows 60) is the last one that there is.
        first = datetime(year, month, day, hour, minute, min(second, 59), micro, tzinfo=zone)
        first = first.astimezone(UTC)
        return first, first + _length(first, year, month, len(given), fraction)
    except (ValueError, OverflowError) as error:
        raise QueryError(tag, f"{text[:60]!r} is no date and time (YYYYMMDDHHMMSS)") from error


def _length(first: datetime, year: int, month: int, given: int, fraction: str | None) -> timedelta:
    """How much time there is from the first to the last microsecond of what was given."""
    if given == 1:
        whole = date(year + 1, 1, 1) - date(year, 1, 1)
    elif given == 2:
        whole = date(year + month // 12, month % 12 + 1, 1) - date(year, month, 1)
    else:
        whole = {3: timedelta(days=1), 4: timedelta(hours=1), 5: timedelta(minutes=1)}.get(
            given, timedelta(microseconds=10 ** (6 - len(fraction or "")))
        )
    return whole - timedelta(microseconds=1)


def same_form(dates: str, times: str) -> bool:
    """Whether both are ranges of one form: from-to, from on, or up to."""
    forms = [
        (bool(low.strip()), bool(high.strip()))
        for low, dash, high in (value.partition("-") for value in (dates, times))
        if dash
    ]
    return len(forms) == 2 and forms[0] == forms[1] and any(forms[0])


def _bounds(tag: str, value: str) -> tuple[str, str]:
    text = value.strip()
    if "-" not in text:
        return text, text
    low, _, high = text.partition("-")
    if not (low or high):
        raise QueryError(tag, "a range needs a beginning or an end")
    return low.strip(), high.strip()


def _date(tag: str, text: str) -> date | None:
    if not text:
        return None
    digits = text.replace(".", "")
    try:
        if len(digits) != 8 or not digits.isascii() or not digits.isdigit():
            raise ValueError(digits)
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError as error:
        raise QueryError(tag, f"{text[:40]!r} is not a date (YYYYMMDD)") from error


def _time(tag: str, text: str, fill: tuple[int, int, int]) -> time | None:
    if not text:
        return None
    found = _TIME.match(text)
    if not found or not text.isascii():
        raise QueryError(tag, f"{text[:40]!r} is not a time (HHMMSS.FFFFFF)")
    hour, minute, second, fraction = found.groups()
    micro = fill[2] if fraction is None else int(fraction.ljust(6, "9" if fill[2] else "0"))
    try:
        return time(
            int(hour),
            fill[0] if minute is None else int(minute),
            fill[1] if second is None else int(second),
            micro,
        )
    except ValueError as error:
        raise QueryError(tag, f"{text[:40]!r} is not a time (HHMMSS.FFFFFF)") from error
