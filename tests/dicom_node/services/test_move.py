"""C-MOVE: to known devices, and what becomes of those that do not take it."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt

from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source
from tests.plugins.workstation import CR, CT, Workstation, asked

RealFile = Callable[[str], Path]
Many = Callable[[int], list[str]]


def test_move(client: Any, storescp: Any, datasets: dict[str, bytes], destination: Any) -> None:
    destination("WS1", storescp.port)
    client.move("WS1", "STUDY", "StudyInstanceUID=1.2")
    assert sorted(storescp.take()) == sorted(datasets[uid] for uid in ("1.2.1.1", "1.2.2.1"))


@pytest.mark.parametrize(
    "name", ["RG1_J2KR.dcm", "JPEG-LL.dcm", "emri_small_RLE.dcm", "liver_expb.dcm"]
)
def test_move_as_stored(
    client: Any, archive: Archive, storescp: Any, real_file: RealFile, name: str, destination: Any
) -> None:
    file = real_file(name)
    received = archive.ingest.receive([file.read_bytes()], Source("import", "test"))
    destination("WS1", storescp.port)
    client.move("WS1", "STUDY", f"StudyInstanceUID={received.study_instance_uid}")
    (came,) = storescp.take()
    assert file.read_bytes().endswith(came)


def test_move_to_who_takes_implicit_vr_alone(
    node: Node, workstation: Workstation, listening: int, many: Many, destination: Any
) -> None:
    uids = many(3)
    destination("WS1", listening)
    workstation.statuses = {uids[0]: 0xA700}
    responses, last = workstation.move(node, "WS1", asked("STUDY", StudyInstanceUID="1.8"))
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
    destination: Any,
) -> None:
    file = make_file(StudyInstanceUID="1.7", SOPInstanceUID="1.7.1", SOPClassUID=CT)
    archive.ingest.receive([file], Source("import", "test"))
    destination("WS1", listening)
    responses, last = workstation.move(node, "WS1", asked("STUDY", StudyInstanceUID="1.7"))
    assert (responses[-1].Status, responses[-1].NumberOfFailedSuboperations) == (0xA702, 1)
    assert last is not None
    assert last.FailedSOPInstanceUIDList == "1.7.1"


def test_unknown_destination(
    node: Node, archive: Archive, filled: Any, workstation: Workstation
) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, "NOADDRESS")
    for aet in ("NOBODY", "NOADDRESS"):
        responses, _ = workstation.move(node, aet, asked("STUDY", StudyInstanceUID="1.2"))
        assert [response.Status for response in responses] == [0xA801]


def test_dead_destination(
    node: Node, filled: Any, destination: Any, workstation: Workstation
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    destination("WS1", port)
    responses, last = workstation.move(node, "WS1", asked("STUDY", StudyInstanceUID="1.2"))
    assert (responses[-1].Status, responses[-1].NumberOfFailedSuboperations) == (0xA702, 2)
    assert last is not None
    assert sorted(last.FailedSOPInstanceUIDList) == ["1.2.1.1", "1.2.2.1"]


def test_destination_that_dies_on_the_way(
    node: Node, workstation: Workstation, many: Many, destination: Any
) -> None:
    many(5)

    def abort_at_third(event: Any) -> int:
        if len(workstation.came) == 2:
            event.assoc.abort()
        return workstation.store(event)

    ae = AE("WS2")
    ae.add_supported_context(CR)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, abort_at_third)]
    )
    destination("WS2", server.server_address[1])
    responses, _ = workstation.move(node, "WS2", asked("STUDY", StudyInstanceUID="1.8"))
    server.shutdown()
    assert responses[-1].Status == 0xB000
    assert responses[-1].NumberOfCompletedSuboperations == 2
    assert responses[-1].NumberOfFailedSuboperations == 3


def test_cancel(
    node: Node, workstation: Workstation, listening: int, many: Many, destination: Any
) -> None:
    many(30)
    destination("WS1", listening)
    workstation.pause = 0.05
    identifier = asked("STUDY", StudyInstanceUID="1.8")
    responses, _ = workstation.move(node, "WS1", identifier, cancel_after=3)
    assert responses[-1].Status == 0xFE00
    assert responses[-1].NumberOfRemainingSuboperations == 30 - len(workstation.came)
    assert len(workstation.came) < 15
