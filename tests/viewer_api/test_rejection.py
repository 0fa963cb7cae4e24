"""Rejecting and restoring through the web: hidden everywhere, recorded, and back as it was."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage, generate_uid

from pacs import triage
from pacs.archive import Archive
from pacs.index.query import Query, search
from pacs.ingest import Received, Source
from pacs.reindex import reindex
from pacs.rejection_note import NotYetHere, follow_note
from pacs.triage import Assessment
from pacs.workflow import settle_quiet_studies
from tests.plugins.hospital import Hospital, file_of, serving

SENDER = Source("dimse", "CT1")


@pytest.fixture
def ward(hospital: Hospital) -> Callable[..., list[Received]]:
    """Stores a new study of a CT: so many series of so many slices."""

    def store(series: int = 1, slices: int = 2) -> list[Received]:
        study = generate_uid()
        stored = []
        for _ in range(series):
            uid = generate_uid()
            stored += [take(hospital.archive, slice_of(study, uid, n)) for n in range(slices)]
        return stored

    return store


def slice_of(study: str, series: str, number: int, **changes: object) -> bytes:
    dataset = pydicom.dcmread(file_of("CT_small.dcm"))
    dataset.PatientID, dataset.PatientName = f"REJ-{study[-12:]}", "Bùi^Văn Loại"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = number
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return bytes_of(dataset)


def bytes_of(dataset: Dataset) -> bytes:
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def take(archive: Archive, content: bytes) -> Received:
    return archive.ingest.receive([content], SENDER)


def path_of(received: Received, level: str = "instance") -> str:
    path = f"/dicomweb/studies/{received.study_instance_uid}"
    if level == "study":
        return path
    path += f"/series/{received.series_instance_uid}"
    return path if level == "series" else f"{path}/instances/{received.sop_instance_uid}"


def settle(hospital: Hospital) -> None:
    with hospital.archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)


def uids(client: httpx2.Client, path: str, tag: str, **parameters: str) -> list[str]:
    answer = client.get(path, params=parameters)
    assert answer.status_code in (200, 204), answer.text
    return sorted(one[tag]["Value"][0] for one in (answer.json() if answer.content else []))


def everything(client: httpx2.Client, one: Received) -> list[Any]:
    """All that a study shows, through every door of the web."""
    study = one.study_instance_uid
    found: list[Any] = [
        client.get("/dicomweb/studies", params={"StudyInstanceUID": study}).json(),
        client.get("/dicomweb/series", params={"StudyInstanceUID": study}).json(),
        client.get("/dicomweb/instances", params={"StudyInstanceUID": study}).json(),
        client.get("/dicomweb/studies", params={"PatientID": f"REJ-{study[-12:]}"}).json(),
    ]
    for path in (
        f"/dicomweb/studies/{study}/metadata",
        f"{path_of(one)}/metadata",
        f"{path_of(one)}/frames/1",
        f"{path_of(one)}/rendered",
        f"/api/v1/studies/{study}",
    ):
        answer = client.get(path)
        body = answer.content if answer.status_code == 200 and "frames" not in path else b""
        found.append((path, answer.status_code, body))
    found.append(
        client.get("/fhir/ImagingStudy", params={"identifier": f"urn:dicom:uid|urn:oid:{study}"})
        .json()
        .get("total")
    )
    work = client.get("/api/v1/worklist", params={"search": f"REJ-{study[-12:]}"}).json()
    found.append(work)
    return found


def test_a_rejected_study_is_nowhere_and_comes_back_as_it_was(
    hospital: Hospital, ward: Callable[..., list[Received]]
) -> None:
    stored = ward(2, 2)
    settle(hospital)
    admin = hospital.machine("admin")
    before = everything(admin, stored[0])
    assert before[0]
    assert before[-1]["total"] == 1
    assert before[4][1] == 200

    answer = admin.delete(path_of(stored[0], "study"), params={"reason": "sai bệnh nhân"})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["code"], said["hiddenInstances"]) == ("113039", 4)

    hidden = everything(admin, stored[0])
    assert hidden[:4] == [[], [], [], []]
    assert {status for _, status, _ in hidden[4:9]} == {404}
    assert hidden[9] == 0
    assert hidden[10]["total"] == 0
    assert admin.delete(path_of(stored[0], "study")).status_code == 404

    listed = admin.get("/api/v1/rejections", params={"study": stored[0].study_instance_uid}).json()
    assert [(one["id"], one["reason"], one["meaning"]) for one in listed] == [
        (said["id"], "sai bệnh nhân", "Data Retention Policy Expired")
    ]
    assert listed[0]["rejectedBy"].startswith("token:")

    assert admin.post(f"/api/v1/rejections/{said['id']}/restore").status_code == 200
    assert everything(admin, stored[0]) == before
    assert (
        admin.get("/api/v1/rejections", params={"study": stored[0].study_instance_uid}).json() == []
    )
    assert admin.post(f"/api/v1/rejections/{said['id']}/restore").status_code == 404
    recorded = hospital.audit(study_instance_uid=stored[0].study_instance_uid)
    assert {event.action for event in recorded} >= {"study.rejected", "study.restored"}


@pytest.mark.parametrize("settled", [True, False])
def test_counts_follow_what_is_hidden(
    hospital: Hospital, ward: Callable[..., list[Received]], *, settled: bool
) -> None:
    stored = ward(2, 3)
    if settled:
        settle(hospital)
    machine = hospital.machine("technician")

    def counts() -> tuple[Any, ...]:
        study = machine.get(
            "/dicomweb/studies", params={"StudyInstanceUID": stored[0].study_instance_uid}
        ).json()
        if not study:
            return ()
        of_series = machine.get(
            f"{path_of(stored[0], 'study')}/series", params={"includefield": "00201209"}
        ).json()
        return (
            study[0]["00201206"]["Value"][0],
            study[0]["00201208"]["Value"][0],
            sorted(one["00201209"]["Value"][0] for one in of_series),
        )

    assert counts() == (2, 6, [3, 3])
    assert machine.post(f"{path_of(stored[0])}/reject/113001%5EDCM").status_code == 200
    assert counts() == (2, 5, [2, 3])
    assert machine.post(f"{path_of(stored[0], 'series')}/reject/113037^DCM").status_code == 200
    assert counts() == (1, 3, [3])
    assert machine.post(f"{path_of(stored[3], 'study')}/reject/113038^DCM").status_code == 200
    assert counts() == ()
    assert machine.post(f"{path_of(stored[0])}/restore").status_code == 200
    assert counts() == (1, 1, [1])
    restored = machine.post(f"{path_of(stored[0], 'study')}/restore")
    assert {one["code"] for one in restored.json()} == {"113037", "113038"}
    assert counts() == (2, 6, [3, 3])


def test_the_same_bytes_stay_hidden_and_other_bytes_are_a_new_version(hospital: Hospital) -> None:
    study, series = generate_uid(), generate_uid()
    content = slice_of(study, series, 1)
    first = take(hospital.archive, content)
    machine = hospital.machine("technician")
    rejection = machine.delete(path_of(first, "study")).json()
    assert take(hospital.archive, content).outcome == "duplicate"
    assert machine.get(path_of(first)).status_code == 404
    assert uids(machine, "/dicomweb/studies", "0020000D", StudyInstanceUID=study) == []

    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.SeriesDescription = "repeated"
    other = bytes_of(dataset)
    assert take(hospital.archive, other).outcome == "conflict"
    whole = machine.get(path_of(first), headers={"Accept": "application/dicom"})
    assert whole.content == other
    assert uids(machine, "/dicomweb/studies", "0020000D", StudyInstanceUID=study) == [study]
    # What was superseded does not come back over what came after it.
    taken_back = machine.post(f"/api/v1/rejections/{rejection['id']}/restore").json()
    assert taken_back["hiddenInstances"] == 0
    assert machine.get(path_of(first), headers={"Accept": "application/dicom"}).content == other


def test_new_images_bring_a_hidden_study_back_without_the_rejected(hospital: Hospital) -> None:
    study, series = generate_uid(), generate_uid()
    old = take(hospital.archive, slice_of(study, series, 1))
    machine = hospital.machine("technician")
    settle(hospital)
    machine.delete(path_of(old, "study"))
    new = take(hospital.archive, slice_of(study, series, 2))
    instances = f"{path_of(old, 'study')}/instances"
    assert uids(machine, instances, "00080018") == [new.sop_instance_uid]
    assert uids(machine, "/dicomweb/studies", "0020000D", StudyInstanceUID=study) == [study]
    assert uids(machine, "/dicomweb/series", "0020000E", StudyInstanceUID=study) == [series]
    settle(hospital)
    found = machine.get("/dicomweb/studies", params={"StudyInstanceUID": study}).json()
    assert (found[0]["00201206"]["Value"], found[0]["00201208"]["Value"]) == ([1], [1])
    assert found[0]["00080061"]["Value"] == ["CT"]


@pytest.mark.parametrize(
    ("role", "title", "status"),
    [
        ("admin", "113037", 200),
        ("technician", "113037", 200),
        ("radiologist", "113001", 200),
        ("radiologist", "113037", 403),
        ("clinician", "113001", 403),
        ("service", "113001", 403),
    ],
)
def test_who_may_reject(
    hospital: Hospital, ward: Callable[..., list[Received]], role: str, title: str, status: int
) -> None:
    one = ward(1, 1)[0]
    answer = hospital.machine(role).delete(path_of(one), params={"title": f"{title}^DCM"})
    assert answer.status_code == status, answer.text


def test_a_radiologist_does_not_undo_what_others_rejected_for_other_reasons(
    hospital: Hospital, ward: Callable[..., list[Received]]
) -> None:
    one = ward(1, 1)[0]
    rejection = hospital.machine("technician").delete(path_of(one)).json()
    radiologist = hospital.machine("radiologist")
    assert radiologist.post(f"/api/v1/rejections/{rejection['id']}/restore").status_code == 403
    assert radiologist.post(f"{path_of(one)}/restore").status_code == 404


def test_a_link_rejects_nothing(hospital: Hospital) -> None:
    follower = hospital.follower("CT_small.dcm")
    assert follower.delete(hospital.path("CT_small.dcm")).status_code == 403
    assert follower.get("/api/v1/rejections").status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/dicomweb/studies/not-a-uid", 400),
        ("DELETE", "/dicomweb/studies/1.2.3.4", 404),
        ("DELETE", "/dicomweb/studies/1.2.3.4?title=999^DCM", 400),
        ("DELETE", "/dicomweb/studies/1.2.3.4?title=113001^SCT", 400),
        ("POST", "/dicomweb/studies/1.2.3.4/reject/nonsense", 400),
        ("POST", "/dicomweb/studies/1.2.3.4/restore", 404),
        ("POST", "/api/v1/rejections/0/restore", 404),
        ("POST", "/api/v1/rejections/99999999999999999999/restore", 404),
        ("POST", "/api/v1/rejections/one/restore", 404),
        ("GET", "/api/v1/rejections?before=0", 422),
        ("GET", f"/api/v1/rejections?study={'1' * 65}", 422),
    ],
)
def test_nonsense_is_a_problem(hospital: Hospital, method: str, path: str, status: int) -> None:
    answer = hospital.machine("admin").request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.fixture
def small(archive: Archive) -> Iterator[Hospital]:
    """A hospital of its own, which a new index does not disturb."""
    with serving(archive) as running:
        yield running


def test_a_new_index_hides_what_was_rejected(small: Hospital) -> None:
    study, series = generate_uid(), generate_uid()
    stored = [take(small.archive, slice_of(study, series, n)) for n in range(3)]
    restored = take(small.archive, slice_of(generate_uid(), generate_uid(), 1))
    machine = small.machine("technician")
    machine.post(f"{path_of(stored[1])}/reject/113001^DCM")
    rejection = machine.delete(path_of(restored, "study")).json()
    machine.post(f"/api/v1/rejections/{rejection['id']}/restore")
    before = everything(machine, stored[0])[:4]
    with small.archive.engine.begin() as connection:
        connection.exec_driver_sql(
            "TRUNCATE instances, series, studies, patients, instance_metadata, reconciliations, "
            "assessments CASCADE"
        )
    assert {done.outcome for done in reindex(small.archive)} == {"stored"}
    settle(small)
    instances = f"{path_of(stored[0], 'study')}/instances"
    kept = sorted([stored[0].sop_instance_uid, stored[2].sop_instance_uid])
    assert uids(machine, instances, "00080018") == kept
    assert everything(machine, stored[0])[:4] == before
    assert machine.get(f"{path_of(restored)}/metadata").status_code == 200
    assert machine.post(f"{path_of(stored[1])}/restore").status_code == 200
    assert len(uids(machine, instances, "00080018")) == 3


def note(title: str, rejected: list[Received], study: str | None = None) -> bytes:
    """A Key Object Selection that names these instances under this title."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    dataset.SOPClassUID = KeyObjectSelectionDocumentStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.StudyInstanceUID = study or rejected[0].study_instance_uid
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientID, dataset.PatientName, dataset.Modality = "N", "N", "KO"
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator, concept.CodeMeaning = title, "DCM", "x"
    dataset.ConceptNameCodeSequence = [concept]
    text = Dataset()
    text.ValueType, text.TextValue = "TEXT", "nhầm ca chụp"
    dataset.ContentSequence = [text]
    evidence: dict[str, dict[str, list[Dataset]]] = {}
    for one in rejected:
        reference = Dataset()
        reference.ReferencedSOPClassUID = one.sop_class_uid
        reference.ReferencedSOPInstanceUID = one.sop_instance_uid
        by_series = evidence.setdefault(one.study_instance_uid, {})
        by_series.setdefault(one.series_instance_uid, []).append(reference)
    dataset.CurrentRequestedProcedureEvidenceSequence = []
    for uid, of_study in evidence.items():
        item = Dataset()
        item.StudyInstanceUID, item.ReferencedSeriesSequence = uid, []
        for series_uid, references in of_study.items():
            inner = Dataset()
            inner.SeriesInstanceUID, inner.ReferencedSOPSequence = series_uid, references
            item.ReferencedSeriesSequence.append(inner)
        dataset.CurrentRequestedProcedureEvidenceSequence.append(item)
    return bytes_of(dataset)


def key_of(archive: Archive, received: Received) -> str:
    with archive.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT object_key FROM instances WHERE sop_instance_uid = %(uid)s",
            {"uid": received.sop_instance_uid},
        )
        return str(found.scalar_one())


def asked_of_jobs(archive: Archive) -> list[dict[str, str]]:
    with archive.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT args FROM procrastinate_jobs WHERE task_name = 'follow_note'"
        )
        return list(found.scalars())


@pytest.mark.parametrize("title", ["113001", "113037", "113038", "113039"])
def test_a_rejection_note_hides_what_it_names_and_itself(small: Hospital, title: str) -> None:
    study, series = generate_uid(), generate_uid()
    stored = [take(small.archive, slice_of(study, series, n)) for n in range(3)]
    received = take(small.archive, note(title, stored[:2]))
    key = key_of(small.archive, received)
    assert asked_of_jobs(small.archive) == [{"object_key": key}]
    [rejection] = follow_note(small.archive, key, wait=True)
    assert (rejection.code, rejection.rejected_by) == (title, "device:CT1")
    assert rejection.reason == "nhầm ca chụp"
    assert rejection.hidden_instances == 3
    machine = small.machine("admin")
    instances = f"{path_of(stored[0], 'study')}/instances"
    assert uids(machine, instances, "00080018") == [stored[2].sop_instance_uid]
    assert follow_note(small.archive, key, wait=True) == []
    # Taken back, it does not act again: not by its job, nor by a new index.
    assert machine.post(f"/api/v1/rejections/{rejection.id}/restore").status_code == 200
    assert follow_note(small.archive, key, wait=True) == []
    assert len(uids(machine, instances, "00080018")) == 4
    assert small.audit(action="study.rejected")[0].actor == "device:CT1"


def test_a_note_may_come_before_what_it_names(small: Hospital) -> None:
    study, series = generate_uid(), generate_uid()
    first = take(small.archive, slice_of(study, series, 1))
    content = slice_of(study, series, 2)
    late = pydicom.dcmread(io.BytesIO(content))
    coming = Received(study, series, late.SOPInstanceUID, late.SOPClassUID, "stored", len(content))
    key = key_of(small.archive, take(small.archive, note("113001", [first, coming])))
    with pytest.raises(NotYetHere):
        follow_note(small.archive, key, wait=True)
    take(small.archive, content)
    [rejection] = follow_note(small.archive, key, wait=True)
    assert rejection.hidden_instances == 3
    with small.archive.engine.connect() as connection:
        assert search(connection, Query("STUDY", {"0020000D": study})) == []


def test_other_key_objects_and_nonsense_reject_nothing(small: Hospital) -> None:
    one = take(small.archive, slice_of(generate_uid(), generate_uid(), 1))
    elsewhere = Received("1.2.3", "1.2.4", one.sop_instance_uid, one.sop_class_uid, "stored", 1)
    for content in (note("113000", [one]), note("113001", [elsewhere], one.study_instance_uid)):
        key = key_of(small.archive, take(small.archive, content))
        assert follow_note(small.archive, key, wait=False) == []
    assert small.machine("admin").get(f"{path_of(one)}/metadata").status_code == 200


@pytest.mark.parametrize("late", [False, True])
def test_what_an_ai_made_of_a_rejected_image_is_hidden_with_it(
    small: Hospital, *, late: bool
) -> None:
    """Whether it had spoken before, or speaks while the image is being rejected."""
    study, series = generate_uid(), generate_uid()
    image, other = (take(small.archive, slice_of(study, series, n)) for n in range(2))
    machine = small.machine("technician")

    def assess() -> None:
        made = slice_of(study, generate_uid(), 1)
        result = small.archive.ingest.receive([made], Source("ai", "model"))
        said = Assessment(
            sop_instance_uid=image.sop_instance_uid,
            model="m",
            model_version="1",
            registered=True,
            triage_class="critical",
            abnormal=0.9,
            findings=(),
            reason=None,
            sr_instance_uid=result.sop_instance_uid,
        )
        with small.archive.engine.begin() as connection:
            triage.record(connection, study, [said])

    if not late:
        assess()
    rejection = machine.delete(path_of(image)).json()
    if late:
        assess()
    instances = f"{path_of(image, 'study')}/instances"
    assert uids(machine, instances, "00080018") == [other.sop_instance_uid]
    page = machine.get(f"/api/v1/studies/{study}").json()
    assert (page["assessments"], page["study"]["triage"]["class"]) == ([], None)
    machine.post(f"/api/v1/rejections/{rejection['id']}/restore")
    assert len(uids(machine, instances, "00080018")) == 3
    page = machine.get(f"/api/v1/studies/{study}").json()
    assert (len(page["assessments"]), page["study"]["triage"]["class"]) == (1, "critical")


def test_rejecting_beside_arriving_images_loses_none(small: Hospital) -> None:
    """Who sends and who rejects at the same time end with one story."""

    study, series = generate_uid(), generate_uid()
    first = take(small.archive, slice_of(study, series, 0))
    machine = small.machine("admin")
    with ThreadPoolExecutor(4) as pool:
        sent = [pool.submit(take, small.archive, slice_of(study, series, n)) for n in range(1, 25)]
        statuses = [machine.delete(path_of(first, "study")).status_code for _ in range(10)]
        arrived = [future.result() for future in sent]
    assert set(statuses) <= {200, 404}
    last = take(small.archive, slice_of(study, series, 99))
    settle(small)
    instances = f"{path_of(first, 'study')}/instances"
    shown = uids(machine, instances, "00080018")
    assert last.sop_instance_uid in shown
    found = machine.get("/dicomweb/studies", params={"StudyInstanceUID": study}).json()
    assert found[0]["00201208"]["Value"] == [len(shown)]
    machine.post(f"{path_of(first, 'study')}/restore")
    assert len(uids(machine, instances, "00080018")) == len(arrived) + 2
