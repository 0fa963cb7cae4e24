"""Whom the embedded PostgreSQL runs as. It refuses root, and nobody else's folders are changed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pacs.database.errors import DataDirectoryError

_NOBODY = "nobody"
# The first lets the server pass through and read what it may not enter (a clone below /root); where
# a container has not got it, the second, which Docker leaves to root, does the same and more.
_PASSAGES = ("dac_read_search", "dac_override")


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the server's processes; `prefix` goes before each of its command lines."""

    name: str
    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def give(self, path: Path) -> None:
        """Hand a file or folder of ours to the server's user."""
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid)


def server_account(cluster: Path, postgres: Path) -> Account:
    """The user for the cluster in that folder: its owner, this user, or under root `nobody`.

    `postgres` is the program that this user has to run. Raises DataDirectoryError when the cluster
    is another user's, or when program or folder are out of reach for one that PostgreSQL accepts.
    """
    uid = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else None
    if uid != 0:
        if owner not in (None, uid):
            raise DataDirectoryError(
                f"the database in {cluster} belongs to user {_user_name(owner)}:"
                " start the program as the user who made it"
            )
        return Account(_user_name(uid), uid, os.getegid())
    if owner == 0:
        raise DataDirectoryError(
            f"the database in {cluster} belongs to root, whom PostgreSQL refuses:"
            f" give the folder to another user (chown -R {_NOBODY} {cluster})"
        )
    entry = pwd.getpwnam(_NOBODY) if owner is None else pwd.getpwuid(owner)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise DataDirectoryError(
            "PostgreSQL refuses to run as root and setpriv (util-linux) is not here to change the"
            " user: start the program as an ordinary user"
        )
    become = (setpriv, f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups")
    capabilities = [(f"--inh-caps=+{name}", f"--ambient-caps=+{name}") for name in _PASSAGES]
    for passage in ((), *capabilities):
        prefix = (*become, *passage, "--")
        if _succeeds(*prefix, postgres, "--version") and _succeeds(
            *prefix, "ls", "-d", cluster.parent / "."
        ):
            return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, prefix)
    raise DataDirectoryError(
        f"PostgreSQL refuses to run as root, and user {entry.pw_name} cannot reach"
        f" {postgres} and {cluster.parent}: start the program as an ordinary user, or put it"
        " and its data directory where others may pass (such as /opt and /var/lib)"
    )


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603


def _user_name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)
