"""Packages of Debian and Ubuntu: installed where we may, named in a clear sentence where not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from steps import StepError, do

SERVICES = {"postgresql": "postgresql", "orthanc": "orthanc"}


def install(packages: list[str], why: str) -> None:
    """Install the packages by apt-get, as root or by sudo without a password. Raises StepError.

    None of them is left running as a service of this machine: we start what we need ourselves.
    """
    names = " ".join(packages)
    may = become_root()
    if may is None or not shutil.which("apt-get"):
        raise StepError(
            f"{why} needs packages that I may not install. Please run: apt install {names}"
        )
    # invoke-rc.d starts no service in runlevel 1; systemd does not look at that, so see below.
    environment = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    do("refreshing the list of Debian packages", *may, *environment, "apt-get", "update", "-q")
    do(
        f"installing {names} for {why} (about 1 minute)",
        *(*may, *environment, "apt-get", "install", "-q", "-y", "--no-install-recommends"),
        *packages,
    )
    if Path("/run/systemd/system").is_dir():
        for service in (SERVICES[name] for name in packages if name in SERVICES):
            do(f"not leaving {service} running", *may, "systemctl", "disable", "--now", service)


def become_root() -> list[str] | None:
    """What to put before a command that needs root; None where we cannot become root."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    asked = sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False)
    return [sudo, "-n"] if sudo and asked and asked.returncode == 0 else None
