"""C-GET: what was received goes out again, byte for byte or transcoded."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE, build_context, build_role
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get

from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source
from tests.plugins.workstation import CR, Workstation, asked

RealFile = Callable[[str], Path]
Many = Callable[[int], list[str]]


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
    node: Node, workstation: Workstation, many: Many
) -> None:
    many(1)
    syntaxes = (JPEG2000Lossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"), *syntaxes)
    assert [syntax for _, syntax in workstation.came] == [ExplicitVRLittleEndian]


def test_who_may_only_retrieve_may_not_store(
    node: Node,
    archive: Archive,
    make_file: Callable[..., bytes],
    workstation: Workstation,
    many: Many,
) -> None:
    many(1)
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


def test_one_refused_object_stops_nothing(node: Node, workstation: Workstation, many: Many) -> None:
    uids = many(5)
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


def test_get_is_cancelled(node: Node, workstation: Workstation, many: Many) -> None:
    many(30)
    workstation.pause = 0.05
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"), cancel_after=3)
    assert responses[-1].Status == 0xFE00
    assert responses[-1].NumberOfRemainingSuboperations == 30 - len(workstation.came)
    assert len(workstation.came) < 15


def test_progress_is_told_every_second(node: Node, workstation: Workstation, many: Many) -> None:
    many(5)
    workstation.pause = 0.5
    responses, _ = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"))
    pending = [response for response in responses if response.Status == 0xFF00]
    assert 1 <= len(pending) <= 3
    assert pending[0].NumberOfRemainingSuboperations > 0


def test_what_was_sent_is_on_record(
    client: Any, archive: Archive, datasets: dict[str, bytes]
) -> None:
    for series in ("1.2.1", "1.2.2"):
        client.get("SERIES", f"SeriesInstanceUID={series}")
    with archive.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT actor, action, study_instance_uid FROM audit_events"
        ).all()
    assert rows == [("device:TESTMOD", "study.retrieved", "1.2")]


def test_an_object_that_is_gone_fails_alone(
    node: Node, archive: Archive, workstation: Workstation, many: Many
) -> None:
    uids = many(3)
    with archive.engine.connect() as connection:
        key = connection.exec_driver_sql(
            "SELECT object_key FROM instances WHERE sop_instance_uid = %s", (uids[1],)
        ).scalar_one()
    archive.store.delete(key)
    responses, last = workstation.get(node, asked("STUDY", StudyInstanceUID="1.8"))
    assert responses[-1].Status == 0xB000
    assert last is not None
    assert last.FailedSOPInstanceUIDList == uids[1]
