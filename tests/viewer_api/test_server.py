"""The server as a process: health, documents, trouble, and a clean end."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pydicom
import pytest
from sqlalchemy import create_engine, text

from pacs.archive import Archive, open_archive
from pacs.documents import describe_study
from pacs.people.permissions import Role
from pacs.people.tokens import create_token
from pacs.settings import Settings
from tests.plugins.hospital import CT, Hospital, file_of, serving
from viewer_api.errors import AddressInUse
from viewer_api.server import listen

PROGRAM = """
import sys
from pathlib import Path
from pacs.archive import open_archive
from pacs.settings import load_settings
from viewer_api.server import run
settings = load_settings(data_dir=Path(sys.argv[1]))
with open_archive(settings, sys.argv[2]) as archive:
    run(archive, "127.0.0.1", 0, lambda url: print("ready", url, flush=True))
print("closed", flush=True)
"""


def test_health_and_readiness(hospital: Hospital) -> None:
    client = hospital.client()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready", "database": "ok", "store": "ok"}


def test_the_documents_load_nothing_from_elsewhere(hospital: Hospital) -> None:
    machine = hospital.machine()
    page = machine.get("/api/docs").text
    assert "/dicomweb/studies" in page
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", page)
    description = machine.get("/api/openapi.json").json()
    assert description["openapi"].startswith("3.1")
    item = description["components"]["schemas"]["WorklistItem"]["properties"]
    assert {"studyInstanceUID", "arrivedAt", "triage"} <= set(item)


def test_metrics_count_by_endpoint_and_name_no_study(hospital: Hospital) -> None:
    machine = hospital.machine()
    machine.get(f"{hospital.path(CT)}/metadata")
    metrics = machine.get("/metrics").text
    labels = 'endpoint="dicomweb.objects.instance_metadata",method="GET",status="200"'
    assert f"filmless_http_requests_total{{{labels}}}" in metrics
    assert hospital.stored[CT].study_instance_uid not in metrics
    for line in metrics.splitlines():
        assert line.startswith("# ") or re.fullmatch(r"\w+(?:\{[^{}]*\})? \S+", line)


def test_a_taken_port_is_said_in_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(AddressInUse, match="--http-port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_sigterm_lets_requests_in_flight_finish(settings: Settings, database_url: str) -> None:
    credentials = b'{"username":"nobody","password":"nothing"}'
    command = [sys.executable, "-c", PROGRAM, str(settings.data_dir), database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as slow:
            head = "POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            slow.sendall(f"{head}Content-Length: {len(credentials)}\r\n\r\n".encode())
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            slow.sendall(credentials)
            assert slow.recv(4096).startswith(b"HTTP/1.1 401 ")
        assert process.stdout.readline() == "closed\n"
        assert process.wait(20) == 0


def test_a_database_that_goes_away_is_503_and_comes_back(archive: Archive, postgres: str) -> None:
    with serving(archive) as hospital:
        hospital.receive(CT)
        client = hospital.signed_in()
        assert client.get("/api/v1/worklist").status_code == 200
        name = archive.engine.url.database
        admin = archive.engine.url.set(database="postgres")
        engine = create_engine(admin, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
                {"n": name},
            )
            answer = client.get("/api/v1/worklist")
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert answer.headers["retry-after"]
            assert client.get("/readyz").json()["database"] == "unavailable"
            assert client.get("/healthz").status_code == 200
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
        engine.dispose()
        assert client.get("/api/v1/worklist").status_code == 200
        assert client.get("/readyz").status_code == 200


def test_an_object_that_is_lost_is_an_error_of_the_store(archive: Archive) -> None:
    with serving(archive) as hospital:
        received = hospital.receive(CT)
        describe_study(archive, received.study_instance_uid)
        shutil.rmtree(archive.settings.data_dir / "objects" / "instances")
        machine = hospital.machine()
        for path in ("", "/frames/1", "/rendered"):
            answer = machine.get(hospital.path(CT) + path)
            assert answer.status_code == 503, path
        assert machine.get(f"{hospital.path(CT)}/metadata").status_code == 200


def test_storing_a_large_object_needs_little_memory(
    settings: Settings, database_url: str, tmp_path: Path
) -> None:
    """200 MB in one part; the process may not grow by a third of that."""
    with open_archive(settings, database_url) as archive, archive.engine.begin() as connection:
        _, secret = create_token(connection, Role.SERVICE, "test")
    dataset = pydicom.dcmread(file_of(CT))
    dataset.NumberOfFrames = 6400
    dataset.PixelData = b"\0" * (128 * 128 * 2)
    head_file = tmp_path / "head.dcm"
    dataset.save_as(head_file)
    content = head_file.read_bytes()
    size = 6400 * 128 * 128 * 2
    value = content.rindex((128 * 128 * 2).to_bytes(4, "little"))
    head = content[:value] + size.to_bytes(4, "little")
    command = [sys.executable, "-c", PROGRAM, str(settings.data_dir), database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        with httpx2.Client(base_url=url, timeout=60) as client:
            client.headers["Authorization"] = f"Bearer {secret}"
            assert client.get("/dicomweb/studies").status_code == 200
            before = _memory(process.pid)

            def body() -> Iterator[bytes]:
                yield b"--b\r\nContent-Type: application/dicom\r\n\r\n" + head
                for _ in range(6400 // 32):
                    yield bytes(32 * 128 * 128 * 2)
                yield b"\r\n--b--"

            answer = client.post(
                "/dicomweb/studies",
                content=body(),
                headers={"Content-Type": "multipart/related; type=application/dicom; boundary=b"},
            )
            assert answer.status_code == 200, answer.text
            url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
            received = 0
            with client.stream("GET", url, headers={"Accept": "application/dicom"}) as stored:
                for chunk in stored.iter_bytes():
                    received += len(chunk)
            assert received == len(head) + size
            assert _memory(process.pid) - before < 64 << 20
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def _memory(process: int) -> int:
    """The most memory of its own that the process has held so far, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found, os.uname()
    return int(found[1]) * 1024


@pytest.mark.parametrize(
    "path", ["/healthz", "/dicomweb/studies", "frames", "metadata", "/nowhere.js"]
)
def test_head_is_what_get_says_without_the_body(hospital: Hospital, path: str) -> None:
    if not path.startswith("/"):
        path = hospital.path(CT) + {"frames": "/frames/1", "metadata": "/metadata"}[path]
    machine = hospital.machine()
    got, head = machine.get(path), machine.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"].split(";")[0] == got.headers["content-type"].split(";")[0]
    assert head.headers.get("etag") == got.headers.get("etag")
