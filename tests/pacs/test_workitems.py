"""Workitems in the database: searches, what is forgotten, and bodies of every kind."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import Connection, text

from pacs.archive import Archive
from pacs.index.attributes import QueryError, keyword_to_tag
from pacs.index.ranges import datetime_range, moments
from pacs.workitems import operations, reports, subscriptions
from pacs.workitems.dataset import checked, read
from pacs.workitems.errors import InvalidWorkitem, Status, WorkitemRefused
from pacs.workitems.retention import sweep
from pacs.workitems.search import WorkitemQuery, is_key, search
from pacs.workitems.worklist import find
from tests.plugins.workitems import code, new_workitem, performed


@pytest.fixture
def connection(archive: Archive) -> Iterator[Connection]:
    with archive.engine.begin() as opened:
        yield opened


def create(connection: Connection, **attributes: object) -> str:
    uid = str(generate_uid())
    model = checked(new_workitem(**attributes).to_json_dict())
    operations.create(connection, uid, model)
    return uid


def state(connection: Connection, uid: str, asked: str, transaction: str) -> None:
    body = Dataset()
    body.ProcedureStepState = asked
    body.TransactionUID = transaction
    operations.change_state(connection, uid, checked(body.to_json_dict()))


def end(connection: Connection, uid: str) -> None:
    transaction = str(generate_uid())
    state(connection, uid, "IN PROGRESS", transaction)
    operations.change(connection, uid, checked(performed().to_json_dict()), transaction)
    state(connection, uid, "COMPLETED", transaction)


def found(connection: Connection, **keys: str) -> list[str]:
    matches = {
        ".".join(map(keyword_to_tag, name.split("__"))): value for name, value in keys.items()
    }
    return uids(search(connection, WorkitemQuery(matches)))


def uids(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["00080018"]["Value"][0] for answer in answers]


def test_every_kind_of_matching(connection: Connection) -> None:
    lungs = create(
        connection,
        ProcedureStepLabel="Phân tích phổi",
        ScheduledStationNameCodeSequence=[code("AI1", "Máy AI 1")],
        ScheduledProcedureStepStartDateTime="20261122080000+0700",
    )
    head = create(
        connection,
        PatientName="Trần^Thị Bình",
        PatientID="BN-002",
        PatientBirthDate="19850615",
        PatientSex="F",
        ProcedureStepLabel="Phân tích sọ não",
        ScheduledProcedureStepPriority="HIGH",
        InputReadinessState="INCOMPLETE",
        ScheduledProcedureStepStartDateTime="20261123",
    )
    both = [lungs, head]
    expected: list[tuple[dict[str, str], list[str]]] = [
        ({}, both),
        ({"PatientName": "nguyen*"}, [lungs]),
        ({"PatientName": "TRAN^THI BINH"}, [head]),
        ({"PatientName": "*duc"}, [lungs]),
        ({"PatientID": "BN-00?"}, both),
        ({"PatientID": "BN-002"}, [head]),
        ({"PatientID": "BN-001\\BN-002"}, both),
        ({"PatientBirthDate": "19800101-"}, [head]),
        ({"PatientBirthDate": "19700131"}, [lungs]),
        ({"PatientSex": "F"}, [head]),
        ({"ProcedureStepLabel": "*pho*"}, [lungs]),
        ({"WorklistLabel": "ai"}, both),
        ({"ProcedureStepState": "SCHEDULED"}, both),
        ({"ProcedureStepState": "IN PROGRESS"}, []),
        ({"ScheduledProcedureStepPriority": "HIGH"}, [head]),
        ({"InputReadinessState": "READY"}, [lungs]),
        ({"SOPInstanceUID": head}, [head]),
        ({"SOPInstanceUID": f"{head},{lungs}"}, both),
        ({"ScheduledStationNameCodeSequence__CodeValue": "AI1"}, [lungs]),
        ({"ScheduledStationNameCodeSequence__CodeValue": "AI2"}, []),
        ({"ReferencedRequestSequence__AccessionNumber": "A-1"}, both),
        ({"ReferencedRequestSequence__AccessionNumber": "B*"}, []),
        ({"ScheduledProcedureStepStartDateTime": "20261122080000+0700"}, [lungs]),
        ({"ScheduledProcedureStepStartDateTime": "20261122010000+0000"}, [lungs]),
        ({"ScheduledProcedureStepStartDateTime": "2026"}, both),
        ({"ScheduledProcedureStepStartDateTime": "20261122010000+0000-"}, both),
        ({"ScheduledProcedureStepStartDateTime": "-20261122000000+0000"}, []),
        ({"ScheduledProcedureStepStartDateTime": "2027-"}, []),
        ({"ScheduledProcedureStepModificationDateTime": "2020-"}, both),
        ({"PatientID": "", "PatientName": "*"}, both),
        ({"TransactionUID": "1.2.3"}, both),
    ]
    for keys, these in expected:
        assert found(connection, **keys) == these, keys
    assert uids(search(connection, WorkitemQuery({}, limit=1))) == [lungs]
    assert uids(search(connection, WorkitemQuery({}, limit=1, offset=1))) == [head]
    fuzzy = WorkitemQuery({"00100010": "binh tran"}, fuzzy=True)
    assert len(search(connection, fuzzy)) == 1


def test_what_a_search_answers(connection: Connection) -> None:
    create(connection)
    [answer] = search(connection, WorkitemQuery({}))
    for keyword in ("PatientID", "WorklistLabel", "InputInformationSequence", "SOPClassUID"):
        assert keyword_to_tag(keyword) in answer
    comments = keyword_to_tag("CommentsOnTheScheduledProcedureStep")
    assert comments not in answer
    for query in (
        WorkitemQuery({}, include=frozenset((comments,))),
        WorkitemQuery({comments: ""}),
        WorkitemQuery({}, include="all"),
    ):
        [answer] = search(connection, query)
        assert comments in answer
    assert keyword_to_tag("TransactionUID") not in answer


def test_no_search_finds_out_a_transaction_uid(connection: Connection) -> None:
    uid, secret = create(connection), str(generate_uid())
    state(connection, uid, "IN PROGRESS", secret)
    assert not is_key("00081195")
    assert found(connection, TransactionUID=secret) == found(connection, TransactionUID="9.9")
    assert secret not in str(search(connection, WorkitemQuery({}, include="all")))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ScheduledProcedureStepStartDateTime", "yesterday"),
        ("ScheduledProcedureStepStartDateTime", "20261301"),
        ("ScheduledProcedureStepStartDateTime", "-"),
        ("SOPInstanceUID", "abc"),
    ],
)
def test_keys_that_are_none(connection: Connection, name: str, value: str) -> None:
    with pytest.raises(QueryError):
        found(connection, **{name: value})


def age(connection: Connection, uid: str, days: int) -> None:
    connection.execute(
        text(
            "UPDATE workitems SET ended_at = ended_at - :age, deleted_at = deleted_at - :age"
            " WHERE sop_instance_uid = :uid"
        ),
        {"age": timedelta(days=days), "uid": uid},
    )


def refusal(connection: Connection, uid: str) -> Status:
    with pytest.raises(WorkitemRefused) as refused:
        find(connection, uid)
    return refused.value.status


def test_what_is_long_done_is_deleted_and_known_to_have_been(connection: Connection) -> None:
    done, locked, watched, open_ = (create(connection) for _ in range(4))
    subscriptions.subscribe(connection, locked, "LOCKING", deletion_lock=True)
    subscriptions.subscribe(connection, watched, "WATCHING", deletion_lock=False)
    for uid in (done, locked, watched):
        end(connection, uid)
        age(connection, uid, 31)
    sweep(connection)
    assert refusal(connection, done) is Status.DELETED
    assert refusal(connection, watched) is Status.DELETED
    assert sorted(found(connection)) == sorted((locked, open_))
    with pytest.raises(WorkitemRefused) as refused:
        operations.create(connection, done, checked(new_workitem().to_json_dict()))
    assert refused.value.status is Status.DUPLICATE

    subscriptions.unsubscribe(connection, locked, "LOCKING")
    sweep(connection)
    assert refusal(connection, locked) is Status.DELETED
    held = connection.execute(text("SELECT attributes::text FROM workitems WHERE id = 1"))
    assert held.scalar_one() == "{}"
    age(connection, done, 366)
    sweep(connection)
    assert refusal(connection, done) is Status.UNKNOWN


def test_reports_are_forgotten_when_heard_or_too_old_or_too_many(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = create(connection)
    subscriptions.subscribe(connection, uid, "WATCHER", deletion_lock=False)
    for value in ("INCOMPLETE", "READY", "UNAVAILABLE"):
        changes = Dataset()
        changes.InputReadinessState = value
        operations.change(connection, uid, checked(changes.to_json_dict()), None)
    waiting = reports.waiting(connection, "WATCHER", 0)
    assert len(waiting) == 4
    reports.confirm(connection, "WATCHER", waiting[0].id)
    sweep(connection)
    assert len(reports.waiting(connection, "WATCHER", 0)) == 4, "other lines may still read it"
    connection.execute(text("UPDATE workitem_reports SET at = at - interval '11 minutes'"))
    sweep(connection)
    assert [one.id for one in reports.waiting(connection, "WATCHER", 0)] == [
        one.id for one in waiting[1:]
    ]
    monkeypatch.setattr("pacs.workitems.retention.MOST_WAITING", 2)
    sweep(connection)
    assert [one.id for one in reports.waiting(connection, "WATCHER", 0)] == [
        one.id for one in waiting[2:]
    ]
    connection.execute(text("UPDATE workitem_reports SET at = at - interval '8 days'"))
    sweep(connection)
    assert reports.waiting(connection, "WATCHER", 0) == []
    subscriptions.unsubscribe(connection, uid, "WATCHER")
    sweep(connection)
    known = connection.execute(text("SELECT count(*) FROM workitem_subscribers")).scalar_one()
    assert known == 0


def test_subscribers_are_bounded(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST_SUBSCRIBERS", 2)
    uid = create(connection)
    for aet in ("ONE", "TWO", "ONE"):
        subscriptions.subscribe(connection, uid, aet, deletion_lock=False)
    with pytest.raises(WorkitemRefused) as refused:
        subscriptions.subscribe(connection, uid, "THREE", deletion_lock=False)
    assert refused.value.status is Status.TOO_MANY_SUBSCRIBERS


def test_a_refused_change_leaves_neither_trace_nor_report(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        uid = create(connection)
        subscriptions.subscribe(connection, uid, "WATCHER", deletion_lock=False)
        state(connection, uid, "IN PROGRESS", "1.2.3")
        before = len(reports.waiting(connection, "WATCHER", 0))
        attributes = find(connection, uid).attributes
    with pytest.raises(WorkitemRefused), archive.engine.begin() as connection:
        state(connection, uid, "COMPLETED", "1.2.3")
    with archive.engine.begin() as connection:
        assert len(reports.waiting(connection, "WATCHER", 0)) == before
        assert find(connection, uid).attributes == attributes


def test_text_is_kept_as_nfc_unicode() -> None:
    decomposed = "Nguye\u0302\u0303n^Va\u0306n"
    model = checked(
        {
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": decomposed + "\0 "}]},
            "00741204": {"vr": "LO", "Value": ["  Pho\u0309i "]},
        }
    )
    assert model["00100010"]["Value"] == [{"Alphabetic": "Nguyễn^Văn"}]
    assert model["00741204"]["Value"] == ["Phỏi"]


@pytest.mark.parametrize(
    "element",
    [
        {"vr": "XX"},
        {"vr": "LO", "Value": "text"},
        {"vr": "LO", "Value": [1]},
        {"vr": "LO", "Value": ["x" * 65]},
        {"vr": "DA", "Value": ["20260101"]},
        {"vr": "LO", "BulkDataURI": "http://localhost/"},
        {"vr": "LO", "InlineBinary": "AAAA"},
        {"Value": ["x"]},
        [],
        None,
    ],
)
def test_attributes_that_are_none(element: Any) -> None:
    with pytest.raises(InvalidWorkitem, match="00741204"):
        checked({"00741204": element})


@pytest.mark.parametrize("depth", [18, 300, 3000])
def test_nesting_is_bounded(depth: int) -> None:
    body = b'{"0040A370":{"vr":"SQ","Value":[' * depth + b"{}" + b"]}}" * depth
    with pytest.raises(InvalidWorkitem):
        read(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
VRS = st.sampled_from(
    "AE AS AT CS DA DS DT FD FL IS LO LT OB OW PN SH SL SQ SS ST TM UI UL UN UR US UT UV".split()
)
TAGS = st.sampled_from(list(new_workitem().to_json_dict())) | st.from_regex(
    r"[0-9A-F]{8}", fullmatch=True
)


def elements(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    values = st.lists(JSON | inner, max_size=3)
    element = st.fixed_dictionaries({"vr": VRS}, optional={"Value": values, "InlineBinary": JSON})
    return st.dictionaries(TAGS, element | JSON, max_size=5)


DATA_SETS: st.SearchStrategy[Any] = st.recursive(st.just({}), elements, max_leaves=10)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | DATA_SETS.map(lambda one: json.dumps(one).encode()))
def test_whatever_comes_is_a_data_set_or_refused(payload: bytes) -> None:
    try:
        model = read(payload)
    except InvalidWorkitem as error:
        assert error.reasons
    else:
        assert checked(model) == model, "what is kept is a data set as well"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(-(10**9), 7 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(4, 14).filter(lambda length: length % 2 == 0),
)
def test_a_moment_lies_in_what_it_is_written_as(moment: datetime, length: int) -> None:
    written = f"{moment:%Y%m%d%H%M%S}"[:length] + "+0000"
    low, high = moments("DT", written)
    assert low <= moment <= high
    assert datetime_range("DT", written) == (low, high)
    assert datetime_range("DT", f"{written}-") == (low, None)
    assert datetime_range("DT", f"-{written}") == (None, high)
    assert datetime_range("DT", f"{written}-{written}") == (low, high)


def test_a_hyphen_begins_an_offset_where_it_can() -> None:
    low, high = datetime_range("DT", "20261122080000-0500")
    assert low == datetime(2026, 11, 22, 13, tzinfo=UTC)
    assert high is not None and high - low < timedelta(seconds=1)
    low, high = datetime_range("DT", "20261122080000-0500-20261122080000-0400")
    assert (low, high) != (None, None)
    low, high = datetime_range("DT", "2025-2026")
    assert low is not None and high is not None
    assert high - low > timedelta(days=700)
