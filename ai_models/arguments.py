"""What the arguments of a network or a transform may be; a bundle's configuration is data only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


class ArgumentRefused(ValueError):
    """An argument that is not on the list, or has a value that it may not have."""


def whole(low: int, high: int) -> Check:
    """A whole number from `low` to `high`."""
    return lambda value: type(value) is int and low <= value <= high


def number(low: float, high: float) -> Check:
    """A finite number from `low` to `high`."""
    return lambda value: (
        type(value) in (int, float) and math.isfinite(value) and low <= value <= high
    )


def one_of(*values: str | int | bool | None) -> Check:
    """One of these values, of the same type."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def several(each: Check, fewest: int, most: int) -> Check:
    """A list of `fewest` to `most` values that pass `each`."""
    return lambda value: (
        isinstance(value, list) and fewest <= len(value) <= most and all(map(each, value))
    )


FLAG = one_of(True, False)


def checked(config: Mapping[str, Any], allowed: Mapping[str, Check]) -> dict[str, Any]:
    """The arguments in `config` (all but `_target_`). Raises ArgumentRefused."""
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    for name, value in arguments.items():
        if name not in allowed:
            raise ArgumentRefused(f"{name[:60]!r} is no argument of {config['_target_']} here")
        if not allowed[name](value):
            raise ArgumentRefused(f"{name} of {config['_target_']} cannot be {str(value)[:80]!r}")
    return arguments
