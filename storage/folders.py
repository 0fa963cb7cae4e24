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


def names_go_with_files(folder: Path) -> bool:
    """Tell whether fsync of a file that has been renamed brings its new name to the disk too.

    The journal of ext4 writes both in one transaction (tests/storage/test_power_cut.py). POSIX
    promises nothing of the kind, so on every other file system, and where it is not known which it
    is, the folder needs its own fsync.
    """
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return False
    for mount in mounts:
        fields, _, source = mount.partition(" - ")
        if fields.split()[2] == number:
            return source.split()[0] == "ext4"
    return False


def sync_folder(folder: Path | str) -> None:
    """Bring the names in a folder to the disk; OSError as the system says it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
