"""The servers that are measured, each in a folder of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.errors import ProgramMissing, ServerFailed
from benchmarks.running import (
    Server,
    ended,
    free_port,
    held_to,
    last_words,
    listening,
    program,
    version_of,
)
from pacs.database.binaries import find_binaries

CLIENT = "BENCHMARK"
RECEIVER = "RECEIVER"

_QUIET_SECONDS = 3.0
_DEBIAN_POSTGRES = Path("/usr/lib/postgresql")
_PLUGINS = Path("/usr/share/orthanc/plugins")
_POSTGRES_PLUGIN = _PLUGINS / "libOrthancPostgreSQLIndex.so"
_DICOMWEB_PLUGIN = _PLUGINS / "libOrthancDicomWeb.so"


@contextmanager
def filmless(
    folder: Path,
    core: int | None,
    parts: str = "dicom,api,worker",
    receiver: int | None = None,
    ohif: Path | None = None,
) -> Iterator[Server]:
    """`pacs serve` with its own PostgreSQL, as a hospital runs it, but without the AI.

    Triage is work that no other server here does. `receiver`: the port on this machine to which
    C-MOVE may send. `ohif`: where scripts/prepare.py has made the OHIF viewer ready.
    """
    data = folder / "data"
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PACS_")}
    environment |= {
        "PACS_DATA_DIR": str(data),
        "PACS_STUDY_QUIET_SECONDS": f"{_QUIET_SECONDS:g}",
        "PACS_AI": "false",
    }
    if ohif is not None:
        environment["PACS_OHIF_DIR"] = str(ohif)
    command = [sys.executable, "-m", "pacs.cli"]
    serve = [*command, "serve", "--only", parts, "--http-port", "0", "--dicom-port", "0"]
    log = folder / "log"
    with log.open("wb") as log_file:
        process = subprocess.Popen(
            held_to(core, serve),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log_file,
            text=True,
        )
    version = (
        f"Filmless {importlib.metadata.version('filmless')} ({parts.replace(',', ', ')}),"
        f" PostgreSQL {version_of(str(find_binaries().postgres))}"
    )
    with process, ended(process):
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r" dicom://(\S+)@[^ ]+:(\d+)", line)
        if address is None:
            raise ServerFailed("Filmless", f"did not come up: {last_words(log)}")
        if receiver is not None:
            add = [*command, "devices", "add", RECEIVER, "--host", "127.0.0.1"]
            subprocess.run(
                [*add, "--port", str(receiver)], env=environment, check=True, capture_output=True
            )
        web = re.search(r" https?://[^ ]+:(\d+)", line)
        yield Server(
            *("Filmless", version, address[1], int(address[2]), (process.pid,)),
            http_port=int(web[1]) if web else None,
            dicomweb="/dicomweb",
            headers=_bearer(command, environment) if web else {},
            folder=data,
            # What is deferred begins when a study has been quiet; the worker looks twice a second.
            settles_after=_QUIET_SECONDS + 1 if "worker" in parts else 0.0,
        )


def account(server: Server) -> dict[str, str]:
    """A radiologist who may sign in to this Filmless: name and password."""
    assert server.folder is not None
    person = {"username": "bs.an", "password": secrets.token_urlsafe(16)}
    environment = {**os.environ, "PACS_DATA_DIR": str(server.folder)}
    add = [sys.executable, "-m", "pacs.cli", "users", "add", person["username"]]
    add += ["--role", "radiologist", "--full-name", "BS. An", "--password-stdin"]
    subprocess.run(
        add, env=environment, input=person["password"], text=True, check=True, capture_output=True
    )
    return person


def _bearer(command: list[str], environment: dict[str, str]) -> dict[str, str]:
    """The headers of a machine that may read and store."""
    create = [*command, "tokens", "create", "--role", "service", "--name", CLIENT, "--json"]
    done = subprocess.run(create, env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerFailed("Filmless", f"gave out no token: {done.stderr.strip()}")
    return {"Authorization": f"Bearer {json.loads(done.stdout)['secret']}"}


@contextmanager
def orthanc(
    folder: Path,
    core: int | None,
    *,
    postgres: bool = False,
    receiver: int | None = None,
    dicomweb: bool = False,
) -> Iterator[Server]:
    """Orthanc as Debian ships it, but for folder, ports and the encoding of answers.

    Its index is in SQLite, or by `postgres` in Debian's PostgreSQL, in both cases its objects are
    files. `dicomweb`: with Debian's DICOMweb plugin, and connections that outlast a request.
    """
    orthanc_program = program("Orthanc", "orthanc")
    port, http_port = free_port(), free_port()
    modalities = {CLIENT: [CLIENT, "127.0.0.1", 104]}
    if receiver is not None:
        modalities[RECEIVER] = [RECEIVER, "127.0.0.1", receiver]
    settings: dict[str, object] = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomPort": port,
        "HttpPort": http_port,
        "DefaultEncoding": "Utf8",
        "DicomModalities": modalities,
    }
    version = f"Orthanc {version_of(orthanc_program)}"
    plugins: list[str] = []
    if dicomweb:
        plugins.append(_plugin(_DICOMWEB_PLUGIN, "orthanc-dicomweb"))
        settings |= {"KeepAlive": True, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
        version += f" with DICOMweb {_debian_version('orthanc-dicomweb')}"
    with ExitStack() as stack:
        pids: tuple[int, ...] = ()
        name, index = "Orthanc", "SQLite"
        if postgres:
            name = "Orthanc, PostgreSQL"
            uri, index, pid = stack.enter_context(_debian_postgres(folder, core))
            pids = (pid,)
            plugins.append(_plugin(_POSTGRES_PLUGIN, "orthanc-postgresql"))
            settings["PostgreSQL"] = {
                "EnableIndex": True,
                "EnableStorage": False,
                "ConnectionUri": uri,
                "Lock": False,
            }
        settings["Plugins"] = plugins
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(settings))
        command = held_to(core, [orthanc_program, str(configuration)])
        own = stack.enter_context(listening(name, port, command, folder / "log"))
        yield Server(
            *(name, f"{version}, {index}", "ORTHANC", port, (own, *pids)),
            http_port=http_port,
            dicomweb="/dicom-web",
            folder=folder,
        )


def _plugin(path: Path, package: str) -> str:
    if not path.exists():
        raise ProgramMissing(path.name, package)
    return str(path)


def _debian_version(package: str) -> str:
    """The upstream version of an installed Debian package."""
    asked = ["dpkg-query", "--show", "--showformat", "${Version}", package]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return said.partition("+")[0]


@contextmanager
def _debian_postgres(folder: Path, core: int | None) -> Iterator[tuple[str, str, int]]:
    """Debian's PostgreSQL as it is shipped, with pg_trgm, which Orthanc uses: URI, name, pid."""
    found = sorted(_DEBIAN_POSTGRES.glob("*/bin"))
    if not found:
        raise ProgramMissing("postgres", "postgresql")
    programs, home, password = found[-1], folder / "postgres", secrets.token_hex(16)
    home.mkdir()
    (home / "password").write_text(password)
    as_postgres: list[str] = []
    if os.getuid() == 0:
        for path in (folder, folder.parent):
            path.chmod(0o711)  # its user must be able to pass
        for path in (home, home / "password"):
            shutil.chown(path, "postgres", "postgres")
        as_postgres = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    cluster, port = str(home / "cluster"), free_port()
    initialise = [str(programs / "initdb"), "-D", cluster, "-U", "orthanc", "-A", "scram-sha-256"]
    initialise += ["--pwfile", str(home / "password"), "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run([*as_postgres, *initialise], check=True, capture_output=True, cwd=home)
    command = [str(programs / "postgres"), "-D", cluster, "-p", str(port)]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={home}"]
    command = held_to(core, [*as_postgres, *command])
    version = f"PostgreSQL {version_of(str(programs / 'postgres'))}"
    with listening("PostgreSQL", port, command, folder / "postgres.log") as pid:
        yield f"postgresql://orthanc:{password}@127.0.0.1:{port}/postgres", version, pid


@contextmanager
def storescp(
    folder: Path, core: int | None, *, ignore: bool = False, port: int | None = None
) -> Iterator[Server]:
    """DCMTK's storescp: files as received (bit-preserving), a process for each association.

    `ignore`: it throws away what it receives, so that a sender is measured and not a disk.
    """
    storescp_program = program("storescp", "dcmtk")
    port = port or free_port()
    objects = folder / "objects"
    objects.mkdir()
    command = [storescp_program, "--fork", "--promiscuous"]
    command += ["--ignore"] if ignore else ["--bit-preserving"]
    command += ["--output-directory", str(objects), "--aetitle", RECEIVER, str(port)]
    version = f"DCMTK {version_of(storescp_program)} storescp"
    with listening("storescp", port, held_to(core, command), folder / "log") as pid:
        yield Server("storescp", version, "STORESCP", port, (pid,))


@contextmanager
def pynetdicom(folder: Path, core: int | None) -> Iterator[Server]:
    """`benchmarks.plain_scp`."""
    port = free_port()
    objects = folder / "objects"
    objects.mkdir()
    command = [sys.executable, "-m", "benchmarks.plain_scp", str(port), str(objects)]
    version = f"pynetdicom {importlib.metadata.version('pynetdicom')}"
    with listening("pynetdicom", port, held_to(core, command), folder / "log") as pid:
        yield Server("pynetdicom", version, "PYNETDICOM", port, (pid,))
