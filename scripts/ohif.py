"""The OHIF viewer as its authors built it, from the npm registry that this machine uses.

It is pinned by version and by the hash of its archive, and made ready in the cache once:
viewer_web/ohif.mjs says how. The server hands it out where PACS_OHIF_DIR names that folder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import node
from steps import ROOT, StepError, do

PACKAGE = "@ohif/app@3.13.2"
VERSION = PACKAGE.rpartition("@")[2]
SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
READY = ROOT / ".cache" / "ohif"

_WEB = ROOT / "viewer_web"
_MAKER = _WEB / "ohif.mjs"
_WORK = ROOT / ".cache" / "ohif-work"


def fetch(*, prepare_packages: Callable[[], None]) -> None:
    """The viewer, ready to be served; nothing is done where it is. Raises StepError.

    `prepare_packages` installs the packages of viewer_web, which minify it, where they are missing.
    """
    release = f"{VERSION}-{hashlib.sha256(_MAKER.read_bytes() + SHA512.encode()).hexdigest()[:8]}"
    made = READY / "release.json"
    if made.is_file() and json.loads(made.read_text())["release"] == release:
        return
    if not (_WEB / "node_modules" / "vite").is_dir():
        prepare_packages()
    npm, environment = node.npm()
    shutil.rmtree(_WORK, ignore_errors=True)
    _WORK.mkdir(parents=True)
    try:
        do(
            "fetching the OHIF viewer (about 10 seconds, 50 MB)",
            *(*npm, "pack", PACKAGE, "--pack-destination", str(_WORK)),
            env=environment,
        )
        built = _unpacked(next(_WORK.glob("*.tgz")))
        ready = _WORK / "ready"
        do(
            "making the OHIF viewer small (about 10 seconds)",
            *(node.program(environment), _MAKER, built / "dist", ready, release),
            cwd=_WEB,
            env=environment,
        )
        shutil.copy(built / "LICENSE", ready / release)
        shutil.rmtree(READY, ignore_errors=True)
        ready.rename(READY)
    finally:
        shutil.rmtree(_WORK, ignore_errors=True)


def _unpacked(archive: Path) -> Path:
    """The package's folder, if its archive is the pinned one. Raises StepError."""
    said = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if said != SHA512:
        raise StepError(f"{PACKAGE} is not the package that was tried: its sha512 is {said}")
    with tarfile.open(archive) as package:
        package.extractall(_WORK, filter="data")
    return _WORK / "package"
