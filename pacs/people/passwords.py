"""Passwords by argon2id, and no answer that takes a different time for a name nobody has."""

from __future__ import annotations

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pacs.people.errors import WeakPassword

MINIMUM_LENGTH = 10
_MAXIMUM_LENGTH = 256
_PARALLEL_HASHES = 2

_hasher = PasswordHasher()  # RFC 9106, second recommended option: 64 MiB, 3 passes
_nobody = _hasher.hash("a password that nobody has")
# Each hash takes 64 MiB: a burst of sign-ins waits in line instead of taking the memory.
_turn = threading.BoundedSemaphore(_PARALLEL_HASHES)


def hash_password(password: str, *, username: str) -> str:
    """The argon2id PHC string to store. Raises WeakPassword."""
    if len(password) < MINIMUM_LENGTH:
        raise WeakPassword(f"the password is too short: use at least {MINIMUM_LENGTH} characters")
    if len(password) > _MAXIMUM_LENGTH:
        raise WeakPassword(f"the password is too long: use at most {_MAXIMUM_LENGTH} characters")
    if password.casefold() == username.casefold():
        raise WeakPassword("the password is the username: choose another")
    with _turn:
        return _hasher.hash(password)


def password_fits(stored: str | None, password: str) -> bool:
    """Whether the password is the one stored; None (an unknown user) takes just as long."""
    with _turn:
        try:
            _hasher.verify(stored or _nobody, password[:_MAXIMUM_LENGTH])
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


def outdated(stored: str) -> bool:
    """Whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(stored)
