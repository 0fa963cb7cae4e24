"""C-FIND: what is asked as modalities and viewers ask it, and answered as they can read it."""

import logging
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind as PatientRoot,
)
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as StudyRoot,
)

from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source

LONG_NAME = "Công Tằng Tôn Nữ^Thị^Phương Thảo Nguyên Hương Trà Đỗ Quyên"

Answers = tuple[list[Dataset], int, Any]


@pytest.fixture
def pending() -> list[int]:
    """The statuses of the pending responses to the last question."""
    return []


@pytest.fixture
def ask(node: Node, pending: list[int]) -> Iterator[Callable[..., Answers]]:
    """Asks by pynetdicom: pending answers, last status, and the last response."""
    opened: list[Association] = []

    def query(
        level: str | None,
        model: str = StudyRoot,
        *,
        extended: bytes | None = None,
        syntax: str = ImplicitVRLittleEndian,
        cancel_after: int | None = None,
        aet: str = "TESTMOD",
        **keys: object,
    ) -> Answers:
        ae = AE(aet)
        ae.acse_timeout = ae.dimse_timeout = 20
        items = []
        if extended is not None:
            item = SOPClassExtendedNegotiation()
            item.sop_class_uid, item.service_class_application_information = model, extended
            items.append(item)
        association = ae.associate(
            *node.address,
            contexts=[build_context(model, syntax)],
            ae_title="FILMLESS",
            ext_neg=items,
        )
        assert association.is_established
        opened.append(association)
        asked = Dataset()
        asked.SpecificCharacterSet = "ISO_IR 192"
        if level is not None:
            asked.QueryRetrieveLevel = level
        for keyword, value in keys.items():
            setattr(asked, keyword, value)
        found: list[Dataset] = []
        status = response = None
        pending.clear()
        for response, answer in association.send_c_find(asked, model, msg_id=7):
            status = response.Status
            if answer is not None:
                found.append(answer)
                pending.append(status)
            if cancel_after is not None and len(found) == cancel_after:
                association.send_c_cancel(7, None, model)
        association.release()
        assert status is not None
        return found, status, response

    yield query
    for association in opened:
        association.abort()


@pytest.mark.parametrize(
    ("level", "keys", "expected"),
    [
        ("STUDY", ["StudyInstanceUID="], ["1.3", "1.2", "1.1"]),
        ("STUDY", ["StudyInstanceUID", "PatientName=nguyen*"], ["1.1"]),
        ("STUDY", ["StudyInstanceUID", "PatientID=079002"], ["1.2"]),
        ("STUDY", ["StudyInstanceUID", "StudyDate=20260110-"], ["1.3", "1.2"]),
        ("STUDY", ["StudyInstanceUID", "StudyDate=-20260107"], ["1.1"]),
        ("STUDY", ["StudyInstanceUID=1.1\\1.3"], ["1.3", "1.1"]),
        ("STUDY", ["StudyInstanceUID", "ModalitiesInStudy=SR"], ["1.2"]),
        ("STUDY", ["StudyInstanceUID", "AccessionNumber=A?2"], ["1.2"]),
        ("STUDY", ["StudyInstanceUID=9.9"], []),
        ("SERIES", ["StudyInstanceUID=1.2", "SeriesInstanceUID"], ["1.2", "1.2"]),
        ("SERIES", ["StudyInstanceUID", "Modality=DX"], ["1.3", "1.1"]),
        ("IMAGE", ["StudyInstanceUID", "SOPInstanceUID=1.2.2.1"], ["1.2"]),
    ],
)
def test_matches(
    client: Any, filled: Any, level: str, keys: list[str], expected: list[str]
) -> None:
    found = client.find(level, *keys)
    assert [answer.StudyInstanceUID for answer in found] == expected
    assert all(answer.QueryRetrieveLevel == level for answer in found)
    assert all(answer.RetrieveAETitle == "FILMLESS" for answer in found)


def test_patients(client: Any, filled: Any) -> None:
    found = client.find("PATIENT", "PatientID", "PatientName", model="-P")
    assert [answer.PatientID for answer in found] == ["079003", "079002", "079001"]
    (study,) = client.find("STUDY", "PatientID=079002", "StudyInstanceUID", model="-P")
    assert study.StudyInstanceUID == "1.2"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_what_is_asked_is_returned_and_what_is_unknown_is_empty(
    ask: Any, filled: Any, syntax: str
) -> None:
    (answer,), status, _ = ask(
        "STUDY",
        syntax=syntax,
        StudyInstanceUID="1.2",
        PatientName="",
        StudyDescription="",
        ModalitiesInStudy="",
        NumberOfStudyRelatedSeries="",
        InstanceAvailability="",
        PatientComments="",
        PregnancyStatus=None,
        ReferencedStudySequence=[],
    )
    assert status == 0x0000
    assert answer.PatientName == "TRẦN^THỊ^HOA"
    assert answer.StudyDescription == "CT sọ não"
    assert answer.ModalitiesInStudy == ["CT", "SR"]
    assert answer.NumberOfStudyRelatedSeries == 2
    assert (answer.SpecificCharacterSet, answer.InstanceAvailability) == ("ISO_IR 192", "ONLINE")
    assert not answer.PatientComments and not answer.ReferencedStudySequence
    assert answer["PregnancyStatus"].is_empty
    assert "StudyDate" not in answer


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_vietnamese_names_come_back_whole(ask: Any, filled: Any, form: Any) -> None:
    written = unicodedata.normalize(form, LONG_NAME)
    assert len(written.encode()) > 64
    (answer,), _, _ = ask("STUDY", StudyInstanceUID="", PatientName=written)
    assert answer.PatientName == LONG_NAME


def test_fuzzy_names_are_negotiated(ask: Any, filled: Any) -> None:
    name = "Duc Nguyen"
    assert ask("STUDY", StudyInstanceUID="", PatientName=name)[0] == []
    found, _, _ = ask("STUDY", StudyInstanceUID="", PatientName=name, extended=b"\1\1\1")
    assert [answer.StudyInstanceUID for answer in found] == ["1.1"]


def test_series_of_nothing_need_relational_queries(ask: Any, filled: Any) -> None:
    found, status, response = ask("SERIES", StudyInstanceUID="", SeriesInstanceUID="*")
    assert (found, status, response.OffendingElement) == ([], 0xA900, 0x0020000D)
    assert "StudyInstanceUID" in response.ErrorComment
    found, status, _ = ask("SERIES", SeriesInstanceUID="", extended=b"\1")
    assert (len(found), status) == (4, 0x0000)


@pytest.mark.parametrize(
    ("level", "model", "keys", "expected"),
    [
        (None, StudyRoot, {}, (0xA900, 0x00080052)),
        ("PATIENT", StudyRoot, {}, (0xA900, 0x00080052)),
        ("FRAME", PatientRoot, {}, (0xA900, 0x00080052)),
        ("STUDY", StudyRoot, {"StudyDate": "yesterday"}, (0xC000, 0x00080020)),
        ("STUDY", StudyRoot, {"StudyInstanceUID": "1.2.x"}, (0xC000, 0x0020000D)),
    ],
)
def test_what_cannot_be_answered(
    ask: Any,
    filled: Any,
    caplog: pytest.LogCaptureFixture,
    level: str | None,
    model: str,
    keys: dict[str, object],
    expected: tuple[int, int],
) -> None:
    found, status, response = ask(level, model, **keys)
    assert found == []
    assert (status, response.OffendingElement) == expected
    assert response.ErrorComment


def test_a_value_for_what_we_do_not_hold_is_owned_up_to(
    ask: Any, filled: Any, pending: list[int]
) -> None:
    ask("STUDY", StudyInstanceUID="1.1", Allergies="penicillin")
    assert pending == [0xFF01]
    ask("STUDY", StudyInstanceUID="1.1", Allergies="")
    assert pending == [0xFF00]


def test_each_device_in_its_character_set(archive: Archive, ask: Any, filled: Any) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, "OLDWS", character_set="ISO_IR 6")
        devices.add(connection, "LATIN", character_set="ISO_IR 100")
    (old,), _, _ = ask("STUDY", StudyInstanceUID="1.1", PatientName="", aet="OLDWS")
    assert old.PatientName == "Nguyen^Van^Duc"
    assert "SpecificCharacterSet" not in old
    (latin,), _, _ = ask("STUDY", StudyInstanceUID="1.1", PatientName="", aet="LATIN")
    assert (latin.PatientName, latin.SpecificCharacterSet) == ("Nguyen^Van^Duc", "ISO_IR 100")


def test_cancel_ends_within_a_batch(
    archive: Archive, make_file: Callable[..., bytes], ask: Any
) -> None:
    file = make_file()
    with archive.engine.begin() as connection:
        archive.ingest.receive([file], Source("dimse", "CR1"))
        connection.exec_driver_sql(_MANY_STUDIES)
    found, status, _ = ask("STUDY", StudyInstanceUID="")
    assert (len(found), status) == (5001, 0x0000)
    assert len({answer.StudyInstanceUID for answer in found}) == 5001
    found, status, _ = ask("STUDY", StudyInstanceUID="", cancel_after=10)
    assert status == 0xFE00
    assert 10 <= len(found) < 5001


_MANY_STUDIES = """
INSERT INTO studies (patient_ref, study_instance_uid, patient_name, patient_name_folded,
  patient_sex, accession_number, study_id, description, description_folded, referring_physician,
  referring_physician_folded, attributes)
SELECT patient_ref, '2.25.' || n, patient_name, patient_name_folded, patient_sex, '', '', '', '',
  '', '', jsonb_set(attributes, '{0020000D,Value,0}', to_jsonb('2.25.' || n))
FROM studies, generate_series(1, 5000) AS n
"""


def test_forbidden(archive: Archive, node: Node) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, "CT1", services=["store", "echo"])
    association = AE("CT1").associate(
        *node.address, contexts=[build_context(StudyRoot)], ae_title="FILMLESS"
    )
    assert not association.is_established
    assert [context.result for context in association.rejected_contexts] == [1]


def test_names_stay_out_of_the_log(ask: Any, filled: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="dicom_node"):
        ask("STUDY", PatientName="Nguyễn Văn Đức", StudyDate="An Binh")
    assert "Nguyễn" not in caplog.text and "Binh" not in caplog.text
