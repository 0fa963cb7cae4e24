"""User identity (PS3.7 D.3.3.7): who uses the peer, by the accounts of this archive.

Usernames and passcodes are checked. Kerberos tickets, SAML assertions and JSON web tokens are not:
no response is sent to them, and it is the requestor's to decide what that means (D.3.3.7.3).
"""

from dataclasses import dataclass

import sqlalchemy

from dicom_node.callers import DATABASE_DOWN
from dicom_node.upper_layer.proposal import (
    BY_USER,
    PERMANENT,
    USERNAME,
    USERNAME_AND_PASSCODE,
    Rejection,
    UserIdentity,
)
from pacs.database.errors import DatabaseError
from pacs.people.errors import UserNotFound
from pacs.people.sessions import check_credentials
from pacs.people.users import User, find_user

UNKNOWN_USER = Rejection(PERMANENT, BY_USER, 1, "the user is unknown, or the passcode is wrong")


@dataclass(frozen=True, slots=True)
class Identified:
    """A user, and the response to say so where one was asked for."""

    user: str | None
    response: bytes | None


NOBODY = Identified(None, None)


def identify(engine: sqlalchemy.Engine, identity: UserIdentity | None) -> Identified | Rejection:
    """Who a peer says that its user is, checked."""
    if identity is None or identity.kind not in (USERNAME, USERNAME_AND_PASSCODE):
        return NOBODY
    try:
        username = identity.primary.decode("utf-8")
        passcode = identity.secondary.decode("utf-8")
    except UnicodeDecodeError:
        return UNKNOWN_USER
    try:
        with engine.begin() as connection:
            if identity.kind == USERNAME:
                user = find_user(connection, username.replace("\0", ""))
                accepted = not user.disabled
                name = user.username
            else:
                checked = check_credentials(connection, username, passcode)
                accepted = isinstance(checked, User)
                name = checked.username if isinstance(checked, User) else ""
    except UserNotFound:
        return UNKNOWN_USER
    except (DatabaseError, sqlalchemy.exc.DBAPIError):
        return DATABASE_DOWN
    if not accepted:
        return UNKNOWN_USER
    return Identified(name, b"" if identity.wants_response else None)
