"""What people rejected is not found, moved or got over DICOM, and is still kept."""

from collections.abc import Callable
from typing import Any

import pytest

from dicom_node.server import Node
from pacs import commitment
from pacs.archive import Archive
from pacs.commitment import Reference
from pacs.ingest import Source
from pacs.rejection import Rejection, reject, restore
from tests.plugins.workstation import CT

STUDY = "1.9"
SLICES = {"1.9.1.1": "1.9.1", "1.9.1.2": "1.9.1", "1.9.2.1": "1.9.2"}


@pytest.fixture
def sent(archive: Archive, make_file: Callable[..., bytes]) -> dict[str, bytes]:
    """A study of two series, as a modality sent it."""
    files = {}
    for uid, series in SLICES.items():
        files[uid] = make_file(
            StudyInstanceUID=STUDY, SeriesInstanceUID=series, SOPInstanceUID=uid, SOPClassUID=CT
        )
        archive.ingest.receive([files[uid]], Source("dimse", "CT1"))
    return files


def hide(archive: Archive, *instances: str) -> Rejection:
    with archive.engine.begin() as connection:
        found = reject(
            connection, "113037", study=STUDY, instances=instances or None, by="user:test"
        )
    assert found is not None
    return found


def test_find_does_not_see_it(client: Any, archive: Archive, sent: Any) -> None:
    def counts() -> list[int]:
        levels = {"STUDY": "", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
        return [
            len(client.find(level, f"StudyInstanceUID={STUDY}", *filter(None, [key])))
            for level, key in levels.items()
        ]

    assert counts() == [1, 2, 3]
    hide(archive, "1.9.1.1")
    assert counts() == [1, 2, 2]
    hide(archive, "1.9.1.2")
    assert counts() == [1, 1, 1]
    rest = hide(archive)
    assert counts() == [0, 0, 0]
    assert client.find("PATIENT", "PatientID", model="-P") == []
    with archive.engine.begin() as connection:
        restore(connection, rest.id, by="user:test")
    assert counts() == [1, 1, 1]


def test_move_and_get_do_not_send_it(
    client: Any, archive: Archive, storescp: Any, sent: dict[str, bytes], destination: Any
) -> None:
    destination("WS1", storescp.port)

    def moved() -> set[str]:
        client.move("WS1", "STUDY", f"StudyInstanceUID={STUDY}", status=None)
        came = storescp.take()
        return {uid for uid, file in sent.items() if any(file.endswith(one) for one in came)}

    one = hide(archive, "1.9.1.1")
    assert moved() == {"1.9.1.2", "1.9.2.1"}
    assert len(client.get("STUDY", f"StudyInstanceUID={STUDY}")[0]) == 2
    rest = hide(archive)
    assert moved() == set()
    assert client.get("STUDY", f"StudyInstanceUID={STUDY}", status=None)[0] == []
    with archive.engine.begin() as connection:
        restore(connection, rest.id, by="user:test")
        restore(connection, one.id, by="user:test")
    assert moved() == set(sent)


def test_a_modality_that_sends_it_again_hears_success_and_may_forget_it(
    node: Node, storescu: Any, archive: Archive, sent: dict[str, bytes], tmp_path: Any, shelf: Any
) -> None:
    hide(archive)
    file = tmp_path / "again.dcm"
    file.write_bytes(sent["1.9.1.1"])
    done = storescu([file])
    assert done.returncode == 0, done.stdout + done.stderr
    assert shelf.instances() == []
    assert len(shelf.files("1.9.1.1")) == 1
    with archive.engine.begin() as connection:
        asked = commitment.request(
            connection, "CT1", "1.9.9", [Reference(CT, "1.9.1.1")], answered_by_job=False
        )
    assert commitment.checked(archive, asked).failures == {}
