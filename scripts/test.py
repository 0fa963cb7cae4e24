"""`make test`: every check and every test, on a machine that has Python and nothing else.

python3 scripts/test.py [--lint | arguments for pytest]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import debian
import prepare
from steps import StepError, say, show

PROGRAMS = {
    "storescu": "dcmtk",
    "chromium": "chromium",
    "Orthanc": "orthanc",
    "openssl": "openssl",
}
POSTGRES = Path("/usr/lib/postgresql")
ORTHANC_PLUGINS = {
    "libOrthancPostgreSQLIndex.so": "orthanc-postgresql",
    "libOrthancDicomWeb.so": "orthanc-dicomweb",
}
FONT = Path("/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf")


def other_peoples_programs() -> None:
    """What the tests drive the product with: DCMTK, Chromium, Orthanc, OpenSSL, PostgreSQL…"""
    missing = [package for program, package in PROGRAMS.items() if not _find(program)]
    if not any(POSTGRES.glob("*/bin/initdb")):
        missing.append("postgresql")
    plugins = Path("/usr/share/orthanc/plugins")
    missing += [name for file, name in ORTHANC_PLUGINS.items() if not (plugins / file).exists()]
    if not FONT.exists():
        missing.append("fonts-noto-core")
    if missing:
        debian.install(missing, "the tests")


def checks() -> None:
    """Style, types, and the web pages' own checks."""
    tool = prepare.VENV / "bin"
    show("ruff check", tool / "ruff", "check", ".")
    show("ruff format", tool / "ruff", "format", "--check", ".")
    show("mypy (strict; about 1 minute the first time)", tool / "mypy")
    say("checks of the web pages")
    prepare.npm("run", "lint")


def tests() -> None:
    """The web pages' tests, then everything else's."""
    say("tests of the web pages")
    prepare.npm("test")
    # A folder of their own, so that nothing of them is left; open enough for the user that
    # PostgreSQL runs as where we are root.
    with tempfile.TemporaryDirectory(prefix="filmless-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        pytest = prepare.VENV / "bin" / "pytest"
        show("tests", pytest, *sys.argv[1:], env={"TMPDIR": folder})


def _find(program: str) -> str | None:
    return shutil.which(
        program, path="/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    )


def main() -> None:
    """Prepare, check, test; the last line is pytest's own summary."""
    lint_only = sys.argv[1:] == ["--lint"]
    prepare.packages(prepare.TEST)
    prepare.web()
    if not lint_only:
        other_peoples_programs()
        prepare.viewer()
        prepare.dcmjs_dimse()
        prepare.dcmjs_web()
        prepare.torchxrayvision()
    checks()
    if not lint_only:
        tests()


if __name__ == "__main__":
    try:
        main()
    except StepError as failure:
        sys.exit(str(failure))
