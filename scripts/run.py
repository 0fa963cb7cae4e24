"""`make run`: the whole product with real studies in it, from nothing but a clone and Python.

Data goes to ./data of the clone. PORT=… chooses the port of the web; a port that is in use is
replaced by a free one. Ctrl-C ends everything; the next `make run` finds the data again.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import ohif
import prepare
from steps import ROOT, StepError, say, tail

DATA = ROOT / "data"
SIGN_IN = DATA / "sign-in.txt"
SERVER_LOG = DATA / "serve.log"
USERNAME = "admin"
HTTP_PORT, DICOM_PORT = 8080, 11112
READY_SECONDS = 120


def free_port(wanted: int, what: str) -> int:
    """The port itself where it can be had, else a free one, and a line that says so."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                probe.listen()
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            if chosen != wanted:
                say(f"port {wanted} is in use by another program: {what} uses {chosen}")
            return chosen
    raise StepError("no port can be listened on at 127.0.0.1")


def start(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start `pacs serve` and wait until it is ready. Raises StepError."""
    say("starting Filmless (10 seconds)")
    DATA.mkdir(mode=0o700, exist_ok=True)
    SERVER_LOG.touch(mode=0o600)
    with SERVER_LOG.open("w") as log:
        server = subprocess.Popen(
            [prepare.VENV / "bin" / "pacs", "serve"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours: the server is asked to end in order
        )
    give_up = time.monotonic() + READY_SECONDS
    while time.monotonic() < give_up and server.poll() is None:
        if any(line.startswith("ready ") for line in SERVER_LOG.read_text().splitlines()):
            return server
        time.sleep(0.1)
    stop(server)
    raise StepError(f"Filmless did not start. The end of {shown(SERVER_LOG)}:\n{tail(SERVER_LOG)}")


def stop(server: subprocess.Popen[bytes]) -> None:
    """Let the server finish what is in flight and end."""
    if server.poll() is None:
        server.send_signal(signal.SIGTERM)
    try:
        server.wait(60)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def sign_in(environment: dict[str, str]) -> str:
    """Who may sign in, and how: made on the first run, kept where only its owner can read it."""
    if not SIGN_IN.exists():
        password = secrets.token_urlsafe(9)
        if f'"{USERNAME}"' in pacs("users list --json", environment):
            pacs(f"users passwd {USERNAME} --password-stdin", environment, said=password)
        else:
            pacs(f"users add {USERNAME} --role admin --password-stdin", environment, said=password)
        descriptor = os.open(SIGN_IN, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"username {USERNAME}   password {password}\n")
    return SIGN_IN.read_text().strip()


def pacs(command: str, environment: dict[str, str], said: str = "") -> str:
    """What a `pacs` command says on its standard output. Raises StepError."""
    done = subprocess.run(
        [prepare.VENV / "bin" / "pacs", *command.split()],
        cwd=ROOT,
        env=environment,
        input=said,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise StepError(f"pacs {command} failed:\n{done.stderr}")
    return done.stdout


def demonstrate(environment: dict[str, str]) -> None:
    """Send the real studies, showing how they come along. Raises StepError."""
    say("sending real studies (about 30 seconds)")
    command = [str(prepare.VENV / "bin" / "pacs"), "demo"]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        raise StepError(f"the studies did not all arrive; {shown(SERVER_LOG)} may say why")


def shown(file: Path) -> str:
    """A file of the clone as people type it."""
    return str(file.relative_to(ROOT))


def main() -> None:
    """Prepare, start, sign in, demonstrate, then serve until Ctrl-C."""
    wanted = os.environ.get("PORT", "")
    if wanted and not (wanted.isdigit() and 0 < int(wanted) < 65536):
        raise StepError(f"PORT={wanted}: a port is a number from 1 to 65535")
    prepare.packages(prepare.RUN)
    prepare.web()
    prepare.viewer()
    http_port = free_port(int(wanted or HTTP_PORT), "the web")
    environment = {
        **os.environ,
        "PACS_DATA_DIR": str(DATA),
        "PACS_HTTP_PORT": str(http_port),
        "PACS_DICOM_PORT": str(free_port(DICOM_PORT, "DICOM")),
        "PACS_OHIF_DIR": str(ohif.READY),
        # The demonstration shows what the AI says; every page that does carries the warning.
        "PACS_SHOW_UNREGISTERED_MODELS": "true",
    }
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    server = start(environment)
    try:
        who = sign_in(environment)
        demonstrate(environment)
        say(f"Filmless is at http://127.0.0.1:{http_port}/")
        say(f"sign in with {who}   (kept in {shown(SIGN_IN)})")
        say("results of the AI are for research use: its model is no registered medical device")
        say(f"Ctrl-C ends it; what it does is in {shown(SERVER_LOG)}")
        status = server.wait()
        raise StepError(f"Filmless ended with status {status}:\n{tail(SERVER_LOG)}")
    except KeyboardInterrupt:
        say("stopping")
    finally:
        stop(server)


if __name__ == "__main__":
    try:
        main()
    except StepError as failure:
        sys.exit(str(failure))
    except KeyboardInterrupt:
        sys.exit(130)
