"""C-GET and C-MOVE: what was received goes out again, byte for byte or transcoded."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import ComputedRadiographyImageStorage, CTImageStorage
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source

RealFile = Callable[[str], Path]
CR, CT = ComputedRadiographyImageStorage, CTImageStorage


def asked(level: str, **keys: object) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", ["StudyInstanceUID=1.2"], ["1.2.1.1", "1.2.2.1"]),
        ("STUDY", ["StudyInstanceUID=1.1\\1.3"], ["1.1.1.1", "1.3.1.1"]),
        ("SERIES", ["StudyInstanceUID=1.2", "SeriesInstanceUID=1.2.2"], ["1.2.2.1"]),
        ("SERIES", ["SeriesInstanceUID=1.2.2"], ["1.2.2.1"]),
        ("IMAGE", ["SOPInstanceUID=1.1.1.1\\1.2.2.1"], ["1.1.1.1", "1.2.2.1"]),
        ("STUDY", ["StudyInstanceUID=9.9"], []),
    ],
)
def test_get(
    client: Any, datasets: dict[str, bytes], level: str, keys: list[str], expected: list[str]
) -> None:
    came, _ = client.get(level, *keys)
    assert sorted(came) == sorted(datasets[uid] for uid in expected)


def test_get_of_a_patient(client: Any, datasets: dict[str, bytes]) -> None:
    folder = client.folder / "patient"
    folder.mkdir()
    client.run(
        *("getscu", "-P", "+B", "-od", str(folder)),
        *("-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=079002"),
    )
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("max_pdu", ["4096", "131072"])
def test_large_objects_in_any_pdu_size(
    client: Any, archive: Archive, real_file: RealFile, max_pdu: str
) -> None:
    file = real_file("RG1_UNCR.dcm")
    archive.ingest.receive([file.read_bytes()], Source("import", "test"))
    uid = pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID
    (came,), _ = client.get("STUDY", f"StudyInstanceUID={uid}", options=["--max-pdu", max_pdu])
    assert file.read_bytes().endswith(came)
    assert len(came) > 6_000_000


@pytest.mark.parametrize(
    ("level", "keys", "element"),
    [
        ("STUDY", {}, 0x0020000D),
        ("SERIES", {"StudyInstanceUID": "1.2"}, 0x0020000E),
        ("STUDY", {"StudyInstanceUID": "1.*"}, 0x0020000D),
        ("STUDY", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.2"}, 0x0020000E),
        ("PATIENT", {"PatientID": "079002"}, 0x00080052),
    ],
)
def test_what_names_nothing_is_refused(
    node: Node, filled: Any, level: str, keys: dict[str, str], element: int
) -> None:
    association = AE("TESTMOD").associate(
        *node.address, contexts=[build_context(Get)], ae_title="FILMLESS"
    )
    ((status, _),) = association.send_c_get(asked(level, **keys), Get)
    assert (status.Status, status.OffendingElement) == (0xA900, element)
    association.release()


class Workstation:
    """pynetdicom as who receives, answering with the statuses that a test says."""

    def __init__(self) -> None:
        self.came: list[tuple[Dataset, str]] = []
        self.statuses: dict[str, int] = {}
        self.originators: list[tuple[str, int]] = []
        self.pause = 0.0

    def store(self, event: Any) -> int:
        time.sleep(self.pause)
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.came.append((dataset, event.context.transfer_syntax))
        request = event.request
        if request.MoveOriginatorApplicationEntityTitle is not None:
            self.originators.append(
                (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID)
            )
        return self.statuses.get(str(dataset.SOPInstanceUID), 0x0000)

    def get(
        self,
        node: Node,
        identifier: Dataset,
        *syntaxes: str,
        cancel_after: int | None = None,
        aet: str = "TESTMOD",
    ) -> tuple[list[Any], Dataset | None]:
        """All responses, and the identifier of the last one."""
        association = AE(aet).associate(
            *node.address,
            contexts=[
                build_context(Get),
                build_context(CR, list(syntaxes) or None),
                build_context(CT),
            ],
            ext_neg=[build_role(CR, scp_role=True), build_role(CT, scp_role=True)],
            ae_title="FILMLESS",
            evt_handlers=[(evt.EVT_C_STORE, self.store)],
        )
        assert association.is_established
        responses: list[Any] = []
        if cancel_after is not None:
            threading.Thread(
                target=self._cancel, args=(association, cancel_after), daemon=True
            ).start()
        responses += association.send_c_get(identifier, Get, msg_id=5)
        association.release()
        return [status for status, _ in responses], responses[-1][1]

    def _cancel(self, association: Association, after: int) -> None:
        while len(self.came) < after:
            time.sleep(0.005)
        association.send_c_cancel(5, None, Get)


@pytest.fixture
def workstation() -> Workstation:
    return Workstation()


@pytest.fixture
def listening(workstation: Workstation) -> Iterator[int]:
    """The port on which the workstation takes radiographs, in implicit VR little endian alone."""
    ae = AE("WS1")
    ae.add_supported_context(CR, ImplicitVRLittleEndian)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, workstation.store)]
    )
    yield server.server_address[1]
    server.shutdown()


def destination(archive: Archive, aet: str, port: int, **properties: Any) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, aet, host="127.0.0.1", port=port, **properties)


@pytest.mark.parametrize(
    "name",
    [
        "RG3_J2KR.dcm",
        "RG3_UNCR.dcm",
        "emri_small_jpeg_ls_lossless.dcm",
        "emri_small_RLE.dcm",
    ],
)
@pytest.mark.parametrize("target", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_what_cannot_be_taken_as_stored_is_transcoded(
    node: Node,
    archive: Archive,
    real_file: RealFile,
    workstation: Workstation,
    name: str,
    target: str,
) -> None:
    file = pydicom.dcmread(real_file(name))
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = CR
    file.StudyInstanceUID = "1.9"
    pixels = file.pixel_array
    copy = archive.settings.data_dir.parent / name
    file.save_as(copy)
    archive.ingest.receive([copy.read_bytes()], Source("import", "test"))
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.9"), target)
    assert responses[-1].Status == 0x0000
    assert responses[-1].NumberOfCompletedSuboperations == 1
    ((came, syntax),) = workstation.came
    assert syntax == target
    assert came.SOPInstanceUID == file.SOPInstanceUID
    assert np.array_equal(came.pixel_array, pixels)


def test_a_device_is_sent_only_what_it_takes(
    node: Node, archive: Archive, real_file: RealFile, workstation: Workstation
) -> None:
    file = real_file("RG3_J2KR.dcm")
    archive.ingest.receive([file.read_bytes()], Source("import", "test"))
    study = pydicom.dcmread(file, stop_before_pixels=True).StudyInstanceUID
    with archive.engine.begin() as connection:
        devices.add(connection, "OLDWS", takes=[ExplicitVRLittleEndian])
    identifier = asked("STUDY", StudyInstanceUID=study)
    responses, _ = workstation.get(node, identifier, JPEG2000Lossless, aet="OLDWS")
    assert (responses[-1].Status, workstation.came) == (0xA702, [])
    workstation.get(node, identifier, JPEG2000Lossless, aet="TESTMOD")
    assert [syntax for _, syntax in workstation.came] == [JPEG2000Lossless]


def test_of_several_transfer_syntaxes_one_is_agreed_on_that_always_works(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    many(archive, make_file, 1)
    syntaxes = (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"), *syntaxes)
    assert [syntax for _, syntax in workstation.came] == [ExplicitVRLittleEndian]


def test_who_may_only_retrieve_may_not_store(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    many(archive, make_file, 1)
    with archive.engine.begin() as connection:
        devices.add(connection, "VIEWER", services=["get"])
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"), aet="VIEWER")
    assert (responses[-1].Status, len(workstation.came)) == (0x0000, 1)
    association = AE("VIEWER").associate(
        *node.address,
        contexts=[build_context(CR, ExplicitVRLittleEndian)],
        ext_neg=[build_role(CR, scp_role=True)],
        ae_title="FILMLESS",
    )
    assert association.is_established
    association.accepted_contexts[0]._as_scu = True
    copy = pydicom.dcmread(io.BytesIO(make_file(SOPClassUID=CR)))
    assert association.send_c_store(copy).Status == 0x0211
    association.release()


def many(archive: Archive, make_file: Callable[..., bytes], count: int) -> list[str]:
    """So many instances of study 1.8."""
    uids = [f"1.8.1.{number}" for number in range(count)]
    for uid in uids:
        file = make_file(
            StudyInstanceUID="1.8", SeriesInstanceUID="1.8.1", SOPInstanceUID=uid, SOPClassUID=CR
        )
        archive.ingest.receive([file], Source("import", "test"))
    return uids


def test_one_refused_object_stops_nothing(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    uids = many(archive, make_file, 5)
    workstation.statuses = {uids[2]: 0xA700, uids[3]: 0xB007}
    responses, last = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"))
    final = responses[-1]
    assert final.Status == 0xB000
    assert final.NumberOfCompletedSuboperations == 3
    assert final.NumberOfFailedSuboperations == 1
    assert final.NumberOfWarningSuboperations == 1
    assert last is not None
    assert last.FailedSOPInstanceUIDList == uids[2]
    assert len(workstation.came) == 5


def test_get_is_cancelled(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    many(archive, make_file, 30)
    workstation.pause = 0.05
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"), cancel_after=3)
    assert responses[-1].Status == 0xFE00
    assert responses[-1].NumberOfRemainingSuboperations == 30 - len(workstation.came)
    assert len(workstation.came) < 15


def test_progress_is_told_every_second(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    many(archive, make_file, 5)
    workstation.pause = 0.5
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"))
    pending = [response for response in responses if response.Status == 0xFF00]
    assert 1 <= len(pending) <= 3
    assert pending[0].NumberOfRemainingSuboperations > 0


def test_move(client: Any, archive: Archive, storescp: Any, datasets: dict[str, bytes]) -> None:
    destination(archive, "WS1", storescp.port)
    client.move("WS1", "STUDY", "StudyInstanceUID=1.2")
    assert sorted(storescp.take()) == sorted(datasets[uid] for uid in ("1.2.1.1", "1.2.2.1"))


@pytest.mark.parametrize(
    "name", ["RG1_J2KR.dcm", "JPEG-LL.dcm", "emri_small_RLE.dcm", "liver_expb.dcm"]
)
def test_move_as_stored(
    client: Any, archive: Archive, storescp: Any, real_file: RealFile, name: str
) -> None:
    file = real_file(name)
    received = archive.ingest.receive([file.read_bytes()], Source("import", "test"))
    destination(archive, "WS1", storescp.port)
    client.move("WS1", "STUDY", f"StudyInstanceUID={received.study_instance_uid}")
    (came,) = storescp.take()
    assert file.read_bytes().endswith(came)


def move(node: Node, to: str, identifier: Dataset) -> tuple[list[Any], Dataset | None]:
    """All responses, and the identifier of the last one."""
    association = AE("TESTMOD").associate(
        *node.address, contexts=[build_context(Move)], ae_title="FILMLESS"
    )
    assert association.is_established
    responses = list(association.send_c_move(identifier, to, Move, msg_id=5))
    association.release()
    return [status for status, _ in responses], responses[-1][1]


def test_move_to_who_takes_implicit_vr_alone(
    node: Node,
    archive: Archive,
    make_file: Callable[..., bytes],
    workstation: Workstation,
    listening: int,
) -> None:
    uids = many(archive, make_file, 3)
    destination(archive, "WS1", listening)
    workstation.statuses = {uids[0]: 0xA700}
    responses, last = move(node, "WS1", asked("STUDY", StudyInstanceUID="1.8"))
    assert responses[-1].Status == 0xB000
    assert responses[-1].NumberOfCompletedSuboperations == 2
    assert last is not None
    assert last.FailedSOPInstanceUIDList == uids[0]
    assert {syntax for _, syntax in workstation.came} == {ImplicitVRLittleEndian}
    assert workstation.originators == [("TESTMOD", 5)] * 3


def test_move_of_what_the_destination_does_not_take(
    node: Node,
    archive: Archive,
    filled: Any,
    workstation: Workstation,
    listening: int,
    make_file: Callable[..., bytes],
) -> None:
    file = make_file(StudyInstanceUID="1.7", SOPInstanceUID="1.7.1", SOPClassUID=CT)
    archive.ingest.receive([file], Source("import", "test"))
    destination(archive, "WS1", listening)
    responses, last = move(node, "WS1", asked("STUDY", StudyInstanceUID="1.7"))
    assert (responses[-1].Status, responses[-1].NumberOfFailedSuboperations) == (0xA702, 1)
    assert last is not None
    assert last.FailedSOPInstanceUIDList == "1.7.1"


def test_unknown_destination(node: Node, archive: Archive, filled: Any) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, "NOADDRESS")
    for aet in ("NOBODY", "NOADDRESS"):
        responses, _ = move(node, aet, asked("STUDY", StudyInstanceUID="1.2"))
        assert [response.Status for response in responses] == [0xA801]


def test_dead_destination(node: Node, archive: Archive, filled: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    destination(archive, "WS1", port)
    responses, last = move(node, "WS1", asked("STUDY", StudyInstanceUID="1.2"))
    assert (responses[-1].Status, responses[-1].NumberOfFailedSuboperations) == (0xA702, 2)
    assert last is not None
    assert sorted(last.FailedSOPInstanceUIDList) == ["1.2.1.1", "1.2.2.1"]


def test_destination_that_dies_on_the_way(
    node: Node,
    archive: Archive,
    make_file: Callable[..., bytes],
    workstation: Workstation,
    listening: int,
) -> None:
    many(archive, make_file, 5)
    destination(archive, "WS1", listening)
    store = workstation.store

    def abort_at_third(event: Any) -> int:
        if len(workstation.came) == 2:
            event.assoc.abort()
        return store(event)

    workstation.store = abort_at_third  # type: ignore[method-assign]
    ae = AE("WS2")
    ae.add_supported_context(CR)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, abort_at_third)]
    )
    destination(archive, "WS2", server.server_address[1])
    responses, _ = move(node, "WS2", asked("STUDY", StudyInstanceUID="1.8"))
    server.shutdown()
    assert responses[-1].Status == 0xB000
    assert responses[-1].NumberOfCompletedSuboperations == 2
    assert responses[-1].NumberOfFailedSuboperations == 3


def test_what_was_sent_is_on_record(
    client: Any, archive: Archive, datasets: dict[str, bytes]
) -> None:
    client.get("STUDY", "StudyInstanceUID=1.2")
    with archive.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT actor, action, study_instance_uid FROM audit_events"
        ).all()
    assert rows == [("device:TESTMOD", "study.retrieve", "1.2")]


def test_an_object_that_is_gone_fails_alone(
    node: Node, archive: Archive, make_file: Callable[..., bytes], workstation: Workstation
) -> None:
    uids = many(archive, make_file, 3)
    with archive.engine.connect() as connection:
        key = connection.exec_driver_sql(
            "SELECT object_key FROM instances WHERE sop_instance_uid = %s", (uids[1],)
        ).scalar_one()
    archive.store.delete(key)
    responses, last = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"))
    assert responses[-1].Status == 0xB000
    assert last is not None
    assert last.FailedSOPInstanceUIDList == uids[1]
