"""From arriving to triaged, the worklist's order, and what each change tells listeners."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from pacs import events, retrieve
from pacs.archive import Archive
from pacs.database.engine import cursor_of
from pacs.documents import describe_study
from pacs.index.locks import hold_open
from pacs.index.query import Scope
from pacs.ingest import Source
from pacs.retrieve import NotFound
from pacs.study import study_detail
from pacs.triage import Assessment, Finding, TriageClass, pending_instances, record
from pacs.workflow import settle_quiet_studies
from pacs.worklist import worklist

MODALITY = Source("dimse", "CR1")
MakeFile = Callable[..., bytes]


def assessment(
    uid: str, triage_class: TriageClass | None = "urgent", *, registered: bool = True
) -> Assessment:
    return Assessment(
        sop_instance_uid=uid,
        model="cxr",
        model_version="1",
        registered=registered,
        triage_class=triage_class,
        abnormal=None if triage_class is None else 0.9,
        findings=(Finding("mass", 0.8, 0.5),),
        reason="not_chest" if triage_class is None else None,
    )


def test_a_study_is_complete_once_it_is_quiet(archive: Archive, make_file: MakeFile) -> None:
    uid = archive.ingest.receive([make_file()], MODALITY).study_instance_uid
    with archive.engine.begin() as connection:
        assert settle_quiet_studies(connection, 60) == []
        assert settle_quiet_studies(connection, 0) == [uid]
        assert settle_quiet_studies(connection, 0) == []
        jobs = connection.execute(
            text("SELECT task_name, args FROM procrastinate_jobs ORDER BY id")
        ).all()
    assert jobs == [
        ("describe_studies", {"study_instance_uids": [uid]}),
        ("triage_study", {"study_instance_uid": uid}),
    ]


def test_a_study_that_is_being_written_to_is_not_settled(
    archive: Archive, make_file: MakeFile
) -> None:
    uid = archive.ingest.receive([make_file()], MODALITY).study_instance_uid
    with archive.engine.begin() as writer:
        hold_open(cursor_of(writer), [uid])
        with archive.engine.begin() as connection:
            assert settle_quiet_studies(connection, 0) == []
    with archive.engine.begin() as connection:
        assert settle_quiet_studies(connection, 0) == [uid]


def test_instances_are_counted_when_the_study_settles_and_after_results(
    archive: Archive, make_file: MakeFile
) -> None:
    for _ in range(3):
        archive.ingest.receive([make_file(StudyInstanceUID="1.2.3")], MODALITY)
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    assert counted(archive) == (3, 3)
    archive.ingest.receive([make_file(StudyInstanceUID="1.2.3")], Source("ai", "cxr 1"))
    assert counted(archive) == (4, 4)


def counted(archive: Archive) -> tuple[int, int]:
    with archive.engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT (SELECT sum(number_of_instances) FROM studies),"
                " (SELECT sum(number_of_instances) FROM series)"
            )
        ).one()
    return row[0], row[1]


def test_metadata_is_the_same_before_and_after_it_is_written_down(
    archive: Archive, make_file: MakeFile
) -> None:
    for number in range(3):
        data = make_file(StudyInstanceUID="1.2.3", InstanceNumber=number, PatientName="Đỗ^Thị Ánh")
        archive.ingest.receive([data], MODALITY)
    before = retrieve.metadata(archive, study="1.2.3")
    assert describe_study(archive, "1.2.3") == 3
    assert describe_study(archive, "1.2.3") == 0
    assert retrieve.metadata(archive, study="1.2.3") == before
    assert sum("Đỗ^Thị Ánh" in text for text in before) == 3


def test_an_ai_result_does_not_unsettle_its_study(archive: Archive, make_file: MakeFile) -> None:
    archive.ingest.receive([make_file(StudyInstanceUID="1.2.3")], MODALITY)
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
    archive.ingest.receive([make_file(StudyInstanceUID="1.2.3")], Source("ai", "cxr 1"))
    with archive.engine.begin() as connection:
        assert settle_quiet_studies(connection, 0) == []
    archive.ingest.receive([make_file(StudyInstanceUID="1.2.3")], MODALITY)
    with archive.engine.begin() as connection:
        assert settle_quiet_studies(connection, 0) == ["1.2.3"]


def test_the_list_is_in_reading_order(archive: Archive, make_file: MakeFile) -> None:
    words: list[TriageClass | None] = ["routine", None, "critical", "urgent", "critical"]
    received = [archive.ingest.receive([make_file()], MODALITY) for _ in words]
    with archive.engine.begin() as connection:
        settle_quiet_studies(connection, 0)
        for word, instance in zip(words, received, strict=True):
            found = assessment(instance.sop_instance_uid, word)
            record(connection, instance.study_instance_uid, [found])
            record(connection, instance.study_instance_uid, [found])
        listed = worklist(connection, show_unregistered=False)
    order = [item.study_instance_uid for item in listed.items]
    assert order == [received[number].study_instance_uid for number in (2, 4, 3, 0, 1)]
    assert listed.total == 5
    assert [item.triage.status for item in listed.items][-1] == "not_assessed"
    assert {item.state for item in listed.items} == {"triaged"}


def test_an_unregistered_model_neither_shows_nor_sorts(
    archive: Archive, make_file: MakeFile
) -> None:
    first, second = (archive.ingest.receive([make_file()], MODALITY) for _ in range(2))
    with archive.engine.begin() as connection:
        found = assessment(second.sop_instance_uid, "critical", registered=False)
        record(connection, second.study_instance_uid, [found])
        hidden = worklist(connection, show_unregistered=False)
        shown = worklist(connection, show_unregistered=True)
        none = worklist(connection, show_unregistered=False, triage="critical")
        detail = study_detail(connection, second.study_instance_uid, show_unregistered=False)
    assert next(item.study_instance_uid for item in hidden.items) == first.study_instance_uid
    assert hidden.items[1].triage.status == "hidden"
    assert hidden.items[1].triage.score is None
    assert next(item.study_instance_uid for item in shown.items) == second.study_instance_uid
    assert none.total == 0
    assert detail.assessments[0].triage.status == "hidden"


@pytest.mark.parametrize("search", ["nguyen duc", "Đức Nguyễn", "ACC-7", "0790", "ngu"])
def test_search_finds(archive: Archive, make_file: MakeFile, search: str) -> None:
    archive.ingest.receive(
        [make_file(PatientName="Nguyễn^Văn^Đức", AccessionNumber="ACC-77", PatientID="079012")],
        MODALITY,
    )
    archive.ingest.receive([make_file(PatientName="TRAN^THI", AccessionNumber="B")], MODALITY)
    with archive.engine.begin() as connection:
        found = worklist(connection, show_unregistered=True, search=search)
    assert [item.patient.name for item in found.items] == ["Nguyễn^Văn^Đức"]


def test_priors_are_of_the_same_person_only(archive: Archive, make_file: MakeFile) -> None:
    same = {"PatientID": "7", "PatientName": "NGUYEN^A", "PatientBirthDate": "19700101"}
    now = archive.ingest.receive([make_file(**same)], MODALITY).study_instance_uid
    prior = archive.ingest.receive([make_file(**same)], MODALITY).study_instance_uid
    archive.ingest.receive([make_file(PatientID="7", PatientName="TRAN^B")], MODALITY)
    archive.ingest.receive([make_file(PatientID="8", PatientName="NGUYEN^A")], MODALITY)
    nobody = archive.ingest.receive([make_file(PatientID="")], MODALITY).study_instance_uid
    archive.ingest.receive([make_file(PatientID="")], MODALITY)
    with archive.engine.begin() as connection:
        detail = study_detail(connection, now, show_unregistered=True)
        assert [item.study_instance_uid for item in detail.priors] == [prior]
        unknown = study_detail(connection, nobody, show_unregistered=True)
        assert unknown.priors == []
        linked = study_detail(connection, now, show_unregistered=True, scope=Scope(now))
        assert linked.priors == []
        with pytest.raises(NotFound):
            study_detail(connection, now, show_unregistered=True, scope=Scope(prior))


def test_what_a_model_owes_a_word_on(archive: Archive, make_file: MakeFile) -> None:
    study = {"StudyInstanceUID": "1.2.3"}
    radiograph = archive.ingest.receive([make_file(**study)], MODALITY)
    archive.ingest.receive([make_file(**study, Modality="OT")], MODALITY)
    archive.ingest.receive([make_file(StudyInstanceUID="1.2.9", Modality="CT")], MODALITY)
    with archive.engine.begin() as connection:
        (owed,) = pending_instances(connection, "1.2.3", "cxr", "1")
        assert owed.sop_instance_uid == radiograph.sop_instance_uid
        assert len(pending_instances(connection, "1.2.9", "cxr", "1")) == 1
        record(connection, "1.2.3", [assessment(radiograph.sop_instance_uid)])
        assert pending_instances(connection, "1.2.3", "cxr", "1") == []
        assert len(pending_instances(connection, "1.2.3", "cxr", "2")) == 1


def test_listeners_hear_of_commits(archive: Archive, make_file: MakeFile) -> None:
    async def heard() -> list[events.StudyEvent | events.Withdrawn]:
        listening = events.listen(archive.database_url)
        found = [await asyncio.wait_for(anext(listening), 30)]
        await asyncio.to_thread(archive.ingest.receive, [make_file()], MODALITY)
        found.append(await asyncio.wait_for(anext(listening), 30))

        def settle() -> None:
            with archive.engine.begin() as connection:
                settle_quiet_studies(connection, 0)

        await asyncio.to_thread(settle)
        found.append(await asyncio.wait_for(anext(listening), 30))
        await listening.aclose()  # type: ignore[attr-defined]
        return found

    first, *rest = asyncio.run(heard())
    assert first == events.Withdrawn()  # what changed before was not heard
    changes = [event.change for event in rest if isinstance(event, events.StudyEvent)]
    assert changes == ["arrived", "complete"]
