"""STOW-RS when things go wrong: disks that fill, clients that go, bodies broken anywhere, sizes."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import generate_uid

from pacs.archive import open_archive
from pacs.settings import load_settings
from tests.plugins.hospital import Hospital, database, file_of, serving

TYPE = 'multipart/related; type="application/dicom"; boundary=b'


def slice_of(study: str, *, pixels: bytes | None = None, side: int = 128) -> bytes:
    dataset = pydicom.dcmread(file_of("CT_small.dcm"))
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = study, generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if pixels is not None:
        dataset.Rows = dataset.Columns = side
        dataset.PixelData = pixels
    file = BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def message(objects: list[bytes]) -> bytes:
    head = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"\r\n".join(head + one for one in objects) + b"\r\n--b--"


def uids(hospital: Hospital, study: str) -> set[str]:
    found = hospital.machine().get("/dicomweb/instances", params={"StudyInstanceUID": study})
    return {one["00080018"]["Value"][0] for one in found.json()}


def uid_of(content: bytes) -> str:
    return str(pydicom.dcmread(BytesIO(content), stop_before_pixels=True).SOPInstanceUID)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=6m", "filmless-test", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_what_has_no_room_and_goes_on(
    disk: Path, database_url: str, tmp_path: Path
) -> None:
    settings = load_settings(data_dir=tmp_path / "data", store_url=f"file://{disk}/objects")
    study = generate_uid()
    large = [slice_of(study, pixels=bytes(2 << 20), side=1024) for _ in range(5)]
    with open_archive(settings, database_url) as archive, serving(archive) as hospital:
        answer = hospital.machine().post(
            "/dicomweb/studies", content=message(large), headers={"Content-Type": TYPE}
        )
        assert answer.status_code == 202
        model = answer.json()
        stored = {one["00081155"]["Value"][0] for one in model["00081199"]["Value"]}
        assert stored == uids(hospital, study)
        failed = [
            one["00081197"]["Value"][0]
            for tag in ("00081198", "0008119A")
            for one in model.get(tag, {}).get("Value", [])
        ]
        assert set(failed) == {0xA700}
        assert len(stored) + len(failed) == 5
        answer = hospital.machine().post(
            "/dicomweb/studies", content=message(large[-1:]), headers={"Content-Type": TYPE}
        )
        assert answer.status_code in (200, 507)
        assert hospital.machine().get("/dicomweb/studies").status_code == 200


def test_clients_that_go_leave_what_was_whole(hospital: Hospital) -> None:
    study = generate_uid()
    whole, half = slice_of(study), slice_of(study)
    content = message([whole, half])
    host, port = hospital.url.removeprefix("http://").split(":")
    for cut in (1, 300, len(content) // 2 + 5000):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                b"POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\n"
                + f"Authorization: Bearer {hospital.tokens['service']}\r\n".encode()
                + f"Content-Type: {TYPE}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                + content[:cut]
            )
            time.sleep(0.5)  # what has not been read when a connection ends is never read
    until = time.monotonic() + 20
    while uids(hospital, study) != {uid_of(whole)} and time.monotonic() < until:
        time.sleep(0.05)
    assert uids(hospital, study) == {uid_of(whole)}


@pytest.fixture(scope="module")
def quiet(
    postgres: str, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Hospital]:
    """A hospital whose store holds what these tests put there, and nothing else."""
    settings_ = load_settings(data_dir=tmp_path_factory.mktemp("quiet"))
    with (
        database(postgres, template_database) as url,
        open_archive(settings_, url) as archive,
        serving(archive) as running,
    ):
        yield running


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_body_broken_anywhere_is_answered_and_loses_no_whole_object(
    quiet: Hospital, data: Any
) -> None:
    study = generate_uid()
    objects = [slice_of(study) for _ in range(2)]
    content = bytearray(message(objects))
    how = data.draw(st.sampled_from(["cut", "flip", "insert", "drop"]))
    # Anywhere, or where the structure is; the length of a UID, and so of the body, varies.
    at = data.draw(st.integers(0, 1 << 30) | st.integers(0, 60) | st.integers(-40, -1))
    at %= len(content)
    if how == "cut":
        del content[at:]
    elif how == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    elif how == "insert":
        content[at:at] = data.draw(st.binary(min_size=1, max_size=40))
    else:
        del content[at : at + data.draw(st.integers(1, 200))]
    answer = quiet.machine().post(
        "/dicomweb/studies", content=bytes(content), headers={"Content-Type": TYPE}
    )
    assert answer.status_code in (200, 202, 400, 409), answer.text
    if answer.status_code in (200, 202):
        named = {one["00081155"]["Value"][0] for one in answer.json()["00081199"]["Value"]}
        assert named
    for one in objects:
        if b"Content-Type: application/dicom\r\n\r\n" + one + b"\r\n--b" in bytes(content):
            whole = bytes(content).startswith(b"--b\r\n")
            assert answer.status_code != 200 or not whole or uid_of(one) in named


def peak(work: Callable[[], None]) -> int:
    """By how many bytes this process grew while it did that, at its highest."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    raise AssertionError(name)


def test_a_request_of_any_size_takes_the_same_memory(hospital: Hospital) -> None:
    """1.5 GB: an object of 1 GiB, and two of 256 MiB."""
    mebibyte = bytes(range(256)) * 4096
    sizes = [1024, 256, 256]

    def body() -> Iterator[bytes]:
        for megabytes in sizes:
            yield b"--b\r\nContent-Type: application/dicom\r\n\r\n" + head_of(megabytes)
            for _ in range(megabytes):
                yield mebibyte
            yield b"\r\n"
        yield b"--b--"

    def send() -> None:
        answer = hospital.machine().post(
            "/dicomweb/studies", content=body(), headers={"Content-Type": TYPE}, timeout=300
        )
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["00081199"]["Value"]) == 3

    assert peak(send) < 64 << 20


def head_of(megabytes: int) -> bytes:
    """An object of so many MiB of pixels, up to them."""
    dataset = pydicom.dcmread(file_of("CT_small.dcm"), stop_before_pixels=True)
    for tag in [element.tag for element in dataset if element.tag > 0x7FE00010]:
        del dataset[tag]
    dataset.StudyInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 1024, 512, megabytes
    file = BytesIO()
    dataset.save_as(file)
    length = (megabytes << 20).to_bytes(4, "little")
    return file.getvalue() + b"\xe0\x7f\x10\x00OW\x00\x00" + length
