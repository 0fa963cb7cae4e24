"""A node on an archive of its own, and DCMTK to send with."""

import itertools
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import split_dataset
from pynetdicom.pdu_primitives import P_DATA
from sqlalchemy import text

from dicom_node import dimse
from dicom_node.server import Node
from dicom_node.upper_layer.proposal import ProposedContext
from dicom_node.upper_layer.requestor import associate
from pacs.archive import Archive
from pacs.settings import Settings, load_settings
from tests.plugins.dcmtk import program

Sender = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with limits that tests can reach."""
    return load_settings(data_dir=tmp_path / "data", max_object_bytes=8 << 20, max_associations=4)


@pytest.fixture
def node(archive: Archive) -> Iterator[Node]:
    """A node that listens on a free port of the loopback interface; it leaves no thread behind."""
    before = set(threading.enumerate())
    with Node(archive, "127.0.0.1", 0) as running:
        yield running
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    assert not [name for name in left if name.startswith("dicom-")]


@dataclass(frozen=True)
class Shelf:
    """What an archive holds, as its database and its folder say."""

    archive: Archive

    def instances(self) -> list[str]:
        """SOP Instance UIDs of the current instances, in the order in which they came."""
        with self.archive.engine.connect() as connection:
            return list(
                connection.execute(
                    text("SELECT sop_instance_uid FROM instances WHERE current ORDER BY id")
                ).scalars()
            )

    def files(self, sop_instance_uid: str) -> list[bytes]:
        """The stored Part 10 files of all versions of an instance, oldest first."""
        with self.archive.engine.connect() as connection:
            keys = connection.execute(
                text(
                    "SELECT object_key FROM instances WHERE sop_instance_uid=:uid ORDER BY version"
                ),
                {"uid": sop_instance_uid},
            ).scalars()
            return [self._read(key) for key in keys]

    def _read(self, key: str) -> bytes:
        with self.archive.store.open(key) as file:
            return file.read()

    def objects(self) -> list[Path]:
        """Every file of the object store that is an object or has been meant to become one."""
        folder = self.archive.settings.data_dir / "objects"
        names = (path for path in folder.rglob("*") if path.is_file())
        return [path for path in names if "lock" not in path.name]


@pytest.fixture
def shelf(archive: Archive) -> Shelf:
    """What the archive holds."""
    return Shelf(archive)


@pytest.fixture
def storescu(node: Node) -> Sender:
    """Sends files by DCMTK's storescu."""

    def send(
        files: Sequence[Path],
        *options: str,
        called: str = "FILMLESS",
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(program("storescu"), "-v", "-aec", called, "-aet", "TESTMOD", *options),
                *(host, str(port or node.address[1])),
                *map(str, files),
            ],
            env={**os.environ, "TCP_NODELAY": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return send


@pytest.fixture
def echoscu(node: Node) -> Sender:
    """Verifies by DCMTK's echoscu."""

    def echo(
        called: str = "FILMLESS",
        calling: str = "TESTMOD",
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                *(program("echoscu"), "-v", "-aec", called, "-aet", calling),
                *(host, str(port or node.address[1])),
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return echo


@dataclass
class Sending:
    """An association on which one object is sent fragment by fragment, as the test says."""

    association: Association
    fragments: list[tuple[int, bytes]]

    def send(self, count: int, a_pdu: int = 1) -> None:
        """Send the next fragments, so many in each PDU."""
        for at in range(0, count, a_pdu):
            primitive = P_DATA()
            part = self.fragments[at : min(at + a_pdu, count)]
            primitive.presentation_data_value_list = [list(fragment) for fragment in part]
            self.association.dul.send_pdu(primitive)
        del self.fragments[:count]

    def finish(self, a_pdu: int = 1) -> int:
        """Send what is left and return the status of the answer."""
        self.association._reactor_checkpoint.clear()
        self.send(len(self.fragments), a_pdu)
        _, response = self.association.dimse.get_msg(block=True)
        self.association._reactor_checkpoint.set()
        return int(response.Status)


@pytest.fixture
def sending() -> Callable[..., Sending]:
    """Begins to send a file on an association of its own, in fragments of so many bytes."""

    def begin(node: Node, file: Path, *, size: int = 16384, command_size: int = 4096) -> Sending:
        meta, start = split_dataset(file)
        context = build_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        association = AE("TESTMOD").associate(
            *node.address, contexts=[context], ae_title="FILMLESS"
        )
        assert association.is_established
        request = C_STORE()
        request.MessageID = 1
        request.Priority = 2
        request.AffectedSOPClassUID = meta.MediaStorageSOPClassUID
        request.AffectedSOPInstanceUID = meta.MediaStorageSOPInstanceUID
        request.DataSet = BytesIO(file.read_bytes()[start:])
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        context_id = association.accepted_contexts[0].context_id
        command, data = (
            part.presentation_data_value_list[0][1][1:]
            for part in message.encode_msg(context_id, 0)
        )
        return Sending(
            association,
            [
                (
                    context_id,
                    bytes([kind | (2 if at + step >= len(part) else 0)]) + part[at : at + step],
                )
                for kind, part, step in ((1, command, command_size), (0, data, size))
                for at in range(0, len(part), step)
            ],
        )

    return begin


class Requestor:
    """An association of our own, on which a file is sent as often as a test likes."""

    def __init__(self, node: Node, file: Path, **terms: Any) -> None:
        self._file = file
        meta, _ = split_dataset(file)
        context = ProposedContext(
            str(meta.MediaStorageSOPClassUID), (str(meta.TransferSyntaxUID),), 1
        )
        self.association = associate(
            *(terms.pop("address", None) or node.address),
            calling_aet="TESTMOD",
            called_aet="FILMLESS",
            contexts=[context],
            **terms,
        )

    def request(self, file: Path | None = None) -> None:
        """Send the file, or another of its kind, by C-STORE; do not wait for the answer."""
        file = file or self._file
        meta, start = split_dataset(file)
        command = dimse.Command(
            command_field=dimse.C_STORE_RQ,
            message_id=self.association.next_message_id(),
            affected_sop_class_uid=str(meta.MediaStorageSOPClassUID),
            affected_sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            priority=dimse.MEDIUM,
        )
        self.association.send(1, command, [file.read_bytes()[start:]])

    def answer(self) -> tuple[int | None, int | None]:
        """Message ID and status of the next answer."""
        message = self.association.receive()
        assert message is not None
        return message.command.message_id_being_responded_to, message.command.status

    def release(self) -> None:
        """Release the association."""
        self.association.release()


@pytest.fixture
def requestor() -> Iterator[Callable[..., Requestor]]:
    """Makes associations of our own with a node, to send a file on."""
    made: list[Requestor] = []

    def make(node: Node, file: Path, **terms: Any) -> Requestor:
        made.append(Requestor(node, file, **terms))
        return made[-1]

    yield make
    for one in made:
        one.association.abort()


@pytest.fixture
def statuses(node: Node) -> Callable[[Sequence[Path]], list[int]]:
    """Sends files, as they are, on one association; the status of each."""

    def send(files: Sequence[Path]) -> list[int]:
        _config.STORE_SEND_CHUNKED_DATASET = True
        metas = [split_dataset(file)[0] for file in files]
        kinds = {(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}
        association = AE("TESTMOD").associate(
            *node.address, contexts=[build_context(*kind) for kind in kinds], ae_title="FILMLESS"
        )
        assert association.is_established
        try:
            return [association.send_c_store(file).Status for file in files]
        finally:
            association.release()

    return send


@pytest.fixture
def altered(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a file with other values: keyword=value, None to leave the element out.

    The file meta information keeps what it says unless `meta` is true.
    """
    numbers = itertools.count()

    def alter(file: Path, *, meta: bool = False, **values: object) -> Path:
        dataset = dcmread(file)
        for keyword, value in values.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        if meta:
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        copy = tmp_path / f"altered-{next(numbers)}.dcm"
        dataset.save_as(copy)
        return copy

    return alter
