"""Folders that are still there after a power cut."""

import errno
import os
from pathlib import Path

from storage.errors import disk_error


def make_root(root: Path) -> None:
    """Make a directory and those above it, for good; raises StoreUnavailable."""
    try:
        missing = [folder for folder in (root, *root.parents) if not folder.exists()]
        for folder in reversed(missing):
            make_folder(folder)
            sync_folder(folder.parent)
        if not root.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(root))
    except OSError as error:
        raise disk_error(error, root) from error


def make_folder(folder: Path) -> None:
    """Make one folder, for this user only, unless it is there; OSError as the system says it."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not folder.is_dir():
            raise


def sync_folder(folder: Path | str) -> None:
    """Bring the names in a folder to the disk; OSError as the system says it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
