"""Steps of a set-up: each says what it does and when it began; what it printed is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOG = ROOT / ".cache" / "setup.log"
STARTED = time.monotonic()


class StepError(Exception):
    """A step of the set-up that could not be done; the message says what to do."""


def say(sentence: str) -> None:
    """Print one line with the time since the start, such as "[0:42] installing PyTorch"."""
    minutes, seconds = divmod(int(time.monotonic() - STARTED), 60)
    sys.stdout.write(f"[{minutes}:{seconds:02}] {sentence}\n")
    sys.stdout.flush()


def do(
    sentence: str,
    *command: str | Path,
    cwd: Path = ROOT,
    env: dict[str, str] | None = None,
) -> None:
    """Say the sentence and run the command, its output going to the log. Raises StepError."""
    say(sentence)
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n--- {' '.join(map(str, command))}\n".encode())
        log.flush()
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode:
        raise StepError(f"{sentence}: failed. The end of {LOG.relative_to(ROOT)}:\n{tail(LOG)}")


def show(sentence: str, *command: str | Path, env: dict[str, str] | None = None) -> None:
    """Say the sentence and run the command, its output going to the screen. Raises StepError."""
    say(sentence)
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, env={**os.environ, **(env or {})}, check=False
    )
    if done.returncode:
        raise StepError(f"{sentence}: failed, see above")


def tail(file: Path, lines: int = 30) -> str:
    """The last lines of a text file."""
    with file.open(encoding="utf-8", errors="replace") as text:
        return "".join(deque(text, lines))
