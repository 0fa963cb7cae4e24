"""Range matching of dates and times (PS3.4 C.2.2.2.5): a value as its bounds."""

import re
from datetime import date, time

from pacs.index.attributes import QueryError

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
