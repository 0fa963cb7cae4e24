"""All that stands between a clone and a running product: virtual environment, packages, web pages.

    python3 scripts/prepare.py [packages|web|ohif|dcmjs-dimse|dcmjs-web|torchxrayvision|all]

`dcmjs-dimse` and `dcmjs-web` are what tests of other people's DICOM and DICOMweb run on Node and in
a browser, and `torchxrayvision` is what ours is compared with; they are not part of `all`.

Only what changed since the last time is done again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import debian
import node
import ohif
from steps import ROOT, VENV, StepError, do, say

if sys.version_info < (3, 11):  # noqa: UP036 - to say so instead of failing below
    sys.exit("Filmless needs Python 3.11 or newer: make PYTHON=python3.11 …")

import tomllib

PYTHON = VENV / "bin" / "python"
INSTALLED = VENV / "filmless-installed.json"
CONSTRAINTS = ROOT / "constraints.txt"
RUN = ("ai", "s3", "demo")
TEST = (*RUN, "dev")

WEB = ROOT / "viewer_web"
PAGES = ROOT / "viewer_api" / "static"
WEB_BUILT = ROOT / ".cache" / "web-built"

TORCHXRAYVISION = "1.5.7"

OTHERS = ROOT / "tests" / "system"


def packages(extras: tuple[str, ...]) -> None:
    """The virtual environment with our packages, at the versions of constraints.txt."""
    if not _runs(PYTHON):
        _make_environment()
    wanted = _digest_of_requirements()
    if INSTALLED.exists():
        installed = json.loads(INSTALLED.read_text())
        if installed["requirements"] == wanted and set(extras) <= set(installed["extras"]):
            return
        extras = tuple(sorted({*extras, *installed["extras"]}))
    pip = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    # Alone and first: as a requirement of another package it would bring gigabytes for GPUs.
    torch = next(line for line in CONSTRAINTS.read_text().split() if line.startswith("torch=="))
    do("installing PyTorch (about 1 minute, 200 MB)", *pip, torch)
    do(
        "installing the other Python packages (about 1 minute, 300 MB)",
        *(*pip, "-c", CONSTRAINTS, "-e", f".[{','.join(extras)}]"),
    )
    INSTALLED.write_text(json.dumps({"requirements": wanted, "extras": extras}))


def web() -> None:
    """The pages of the reading room, built into viewer_api/static."""
    wanted = _digest_of(WEB)
    if PAGES.is_dir() and WEB_BUILT.exists() and WEB_BUILT.read_text() == wanted:
        return
    _packages_of_the_pages()
    npm, environment = node.npm()
    do("building the web pages (about 20 seconds)", *npm, "run", "build", cwd=WEB, env=environment)
    WEB_BUILT.parent.mkdir(exist_ok=True)
    WEB_BUILT.write_text(wanted)


def viewer() -> None:
    """The prebuilt OHIF viewer in the cache; without the network the product does without it."""
    try:
        ohif.fetch(prepare_packages=_packages_of_the_pages)
    except StepError as failure:
        say(f"OHIF is left out: {str(failure).splitlines()[0]}")


def dcmjs_dimse() -> None:
    """dcmjs-dimse and the program that drives it, with `node` beside them, in the cache."""
    _others("dcmjs-dimse", "about 5 seconds, 38 MB")


def dcmjs_web() -> None:
    """dicomweb-client and dcmjs, which a test has a browser load, in the cache."""
    _others("dcmjs-web", "about 5 seconds, 34 MB")


def torchxrayvision() -> None:
    """TorchXRayVision's own code, in a folder that only a test looks into, in the cache.

    Without what it requires: torchvision cannot be beside our build of PyTorch.
    """
    ready = ROOT / ".cache" / "torchxrayvision"
    if (ready / f"torchxrayvision-{TORCHXRAYVISION}.dist-info").exists():
        return
    shutil.rmtree(ready, ignore_errors=True)
    pip = (PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input")
    do(
        "fetching torchxrayvision for the tests (about 5 seconds, 29 MB)",
        *(*pip, "--no-deps", "--target", ready, f"torchxrayvision=={TORCHXRAYVISION}"),
    )


def _others(name: str, effort: str) -> None:
    made = OTHERS / name.replace("-", "_")
    ready = ROOT / ".cache" / name
    wanted, done = _digest_of(made), ready / "prepared"
    if done.exists() and done.read_text() == wanted:
        return
    shutil.rmtree(ready, ignore_errors=True)
    shutil.copytree(made, ready, ignore=shutil.ignore_patterns("node_modules"))
    npm, environment = node.npm()
    do(
        f"fetching {name} for the tests ({effort})",
        *(*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"),
        cwd=ready,
        env=environment,
    )
    (ready / "node").symlink_to(node.program(environment))
    done.write_text(wanted)


def npm(*arguments: str) -> None:
    """Run npm in viewer_web on the Node that built the pages, showing what it says."""
    command, environment = node.npm()
    done = subprocess.run(
        [*command, *arguments], cwd=WEB, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise StepError(f"npm {' '.join(arguments)}: failed, see above")


def _packages_of_the_pages() -> None:
    npm, environment = node.npm()
    do(
        "fetching the packages of the web pages (about 20 seconds, 60 MB)",
        *(*npm, "ci", "--no-audit", "--no-fund"),
        cwd=WEB,
        env=environment,
    )


def _make_environment() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        debian.install(["python3-venv"], "the virtual environment")
    do(
        "making the virtual environment .venv (5 seconds)",
        sys.executable,
        "-m",
        "venv",
        "--clear",
        VENV,
    )


def _runs(python: Path) -> bool:
    return (
        python.exists()
        and subprocess.run(
            [python, "-m", "pip", "--version"], capture_output=True, check=False
        ).returncode
        == 0
    )


def _digest_of_requirements() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    said = json.dumps(project, sort_keys=True) + CONSTRAINTS.read_text()
    return hashlib.sha256(said.encode()).hexdigest()


def _digest_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "node_modules" not in file.parts:
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def main() -> None:
    """Prepare what the command line names, all by default."""
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    if what in ("packages", "all"):
        packages(RUN)
    if what in ("web", "all"):
        if not _runs(PYTHON):
            _make_environment()
        web()
    if what in ("ohif", "all"):
        viewer()
    if what == "dcmjs-dimse":
        dcmjs_dimse()
    if what == "dcmjs-web":
        dcmjs_web()
    if what == "torchxrayvision":
        torchxrayvision()
    say("prepared")


if __name__ == "__main__":
    try:
        main()
    except StepError as failure:
        sys.exit(str(failure))
