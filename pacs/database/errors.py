"""What can be wrong with the database."""

from pacs.errors import PacsError


class DatabaseError(PacsError):
    """The database cannot be used as it is; the message says what to do."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or is too busy, now; the same call may succeed later."""


class DatabaseRefused(DatabaseError):
    """The server answers but does not let this program in: name, password or database are wrong."""


class DatabaseNewer(DatabaseError):
    """The tables were made by a later version of the program."""


class DatabaseUnsupported(DatabaseError):
    """The server, or the files of the embedded one, are of a PostgreSQL that does not serve."""


class DataDirectoryError(DatabaseError):
    """The data directory cannot be used by this program, here, as this user."""


class DataDirectoryInUse(DataDirectoryError):
    """Another process has the data directory."""
