"""What can go wrong with accounts and tokens."""

from pacs.errors import PacsError


class PeopleError(PacsError):
    """Root of this room's errors."""


class UserExists(PeopleError):
    """The username is taken."""

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"a user named {username!r} exists already")


class UserNotFound(PeopleError):
    """Nobody has that username."""

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(f"there is no user named {username!r}")


class BadUsername(PeopleError):
    """A username is 1-64 letters, digits, `.`, `_`, `-` or `@`."""

    def __init__(self, username: str) -> None:
        self.username = username
        super().__init__(
            f"{username!r} cannot be a username: use 1 to 64 letters a-z, digits or . _ - @, "
            "beginning with a letter or digit"
        )


class BadInstitution(PeopleError):
    """What is given cannot be an Institution Name (0008,0080), or there are too many or none."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot be an institution's name: give 1 to 100 names of at most 64 "
            "characters, as the modalities send them"
        )


class WeakPassword(PeopleError):
    """The password is too short or too long, or is the username; says which."""


class TokenNotFound(PeopleError):
    """No token has that number."""

    def __init__(self, token_id: int) -> None:
        self.token_id = token_id
        super().__init__(f"there is no token number {token_id}")


class ScopeNotPermitted(PeopleError):
    """A token may hold only what its role permits."""
