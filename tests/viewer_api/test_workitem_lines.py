"""UPS-RS: subscriptions, and the reports that come over real WebSockets, from any process."""

import contextlib
import secrets
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest
import websockets
from pydicom import Dataset
from pydicom.uid import generate_uid
from sqlalchemy import create_engine, text
from websockets.sync.client import connect

from pacs.archive import Archive, open_archive
from pacs.settings import Settings
from tests.plugins.hospital import CT, Hospital, serving
from tests.plugins.workitems import (
    EVERYTHING,
    FILTERED,
    Worklist,
    code,
    performed,
    report,
    silent,
)
from viewer_api.app import create_app
from viewer_api.server import Server, address, listen

UPS_PUSH = "1.2.840.10008.5.1.4.34.6.1"
STATE_REPORT, CANCEL_REQUESTED, PROGRESS, STATUS_CHANGE, ASSIGNED = range(1, 6)


@pytest.fixture
def alone(archive: Archive) -> Iterator[Hospital]:
    """A server whose worklist is empty."""
    with serving(archive) as running:
        yield running


@pytest.fixture
def own(alone: Hospital) -> Worklist:
    """A worklist that nobody else uses."""
    return Worklist(alone.machine())


@pytest.fixture
def worklist(hospital: Hospital) -> Worklist:
    return Worklist(hospital.machine())


@pytest.fixture
def aet() -> str:
    """An AE title that nobody else has."""
    return f"AE{secrets.token_hex(6)}"


def priority(value: str) -> Dataset:
    changes = Dataset()
    changes.ScheduledProcedureStepPriority = value
    return changes


def test_a_workitem_is_followed_to_its_end(worklist: Worklist, aet: str) -> None:
    uid = worklist.create()
    answer = worklist.subscribe(uid, aet)
    assert answer.status_code == 201
    url = answer.headers["content-location"]
    assert url.startswith("ws://") and url.endswith(f"/dicomweb/ws/subscribers/{aet}")
    token = {"Authorization": worklist.http.headers["Authorization"]}
    with connect(url, additional_headers=token, proxy=None) as line:
        first = report(line)
        assert first.AffectedSOPClassUID == UPS_PUSH
        assert first.AffectedSOPInstanceUID == uid
        assert first.EventTypeID == STATE_REPORT
        assert isinstance(first.MessageID, int)
        assert (first.ProcedureStepState, first.InputReadinessState) == ("SCHEDULED", "READY")

        transaction = worklist.claim(uid)
        assert report(line).ProcedureStepState == "IN PROGRESS"

        assert worklist.update(uid, priority("HIGH"), transaction).status_code == 200
        assert silent(line), "nobody has to be told of a priority"

        changes, progress = performed(), Dataset()
        progress.ProcedureStepProgressDescription = "Đang xử lý"
        changes.ProcedureStepProgressInformationSequence = [progress]
        assert worklist.update(uid, changes, transaction).status_code == 200
        told = report(line)
        assert told.EventTypeID == PROGRESS
        [kept] = told.ProcedureStepProgressInformationSequence
        assert kept.ProcedureStepProgressDescription == "Đang xử lý"

        request = Dataset()
        request.ReasonForCancellation = "Không cần nữa"
        request.ContactDisplayName = "Bs. An"
        assert worklist.post(f"/{uid}/cancelrequest/RIS", request).status_code == 202
        told = report(line)
        assert (told.EventTypeID, told.RequestingAE) == (CANCEL_REQUESTED, "RIS")
        assert told.ReasonForCancellation == "Không cần nữa"
        assert told.ContactDisplayName == "Bs. An"

        assert worklist.state(uid, "COMPLETED", transaction).status_code == 200
        assert report(line).ProcedureStepState == "COMPLETED"
        gone = worklist.http.delete(f"/dicomweb/workitems/{uid}/subscribers/{aet}")
        assert gone.status_code == 200
        gone = worklist.http.delete(f"/dicomweb/workitems/{uid}/subscribers/{aet}")
        assert (gone.status_code, gone.json()["code"]) == (404, "not_subscribed")


def test_what_is_changed_before_it_begins(worklist: Worklist, aet: str) -> None:
    uid = worklist.create(InputReadinessState="INCOMPLETE")
    worklist.subscribe(uid, aet)
    with worklist.line(aet) as line:
        assert report(line).InputReadinessState == "INCOMPLETE"
        changes, performer = Dataset(), Dataset()
        performer.HumanPerformerCodeSequence = [code("BS1", "Bs. An")]
        performer.HumanPerformerName = "Nguyễn^An"
        performer.HumanPerformerOrganization = "Khoa CĐHA"
        changes.InputReadinessState = "READY"
        changes.ScheduledHumanPerformersSequence = [performer]
        changes.ScheduledStationNameCodeSequence = [code("AI1", "Máy AI 1")]
        assert worklist.update(uid, changes).status_code == 200
        ready, assigned = report(line), report(line)
        assert (ready.EventTypeID, ready.InputReadinessState) == (STATE_REPORT, "READY")
        assert assigned.EventTypeID == ASSIGNED
        assert assigned.ScheduledStationNameCodeSequence[0].CodeValue == "AI1"
        assert assigned.HumanPerformerCodeSequence[0].CodeValue == "BS1"
        assert assigned.HumanPerformerOrganization == "Khoa CĐHA"
        assert worklist.update(uid, changes).status_code == 200
        assert silent(line), "a change that is none"

        assert worklist.post(f"/{uid}/cancelrequest/RIS", None).status_code == 202
        told = [report(line) for _ in range(3)]
        assert [one.EventTypeID for one in told] == [CANCEL_REQUESTED, STATE_REPORT, STATE_REPORT]
        assert [one.ProcedureStepState for one in told[1:]] == ["IN PROGRESS", "CANCELED"]
        [reason] = told[2].ProcedureStepDiscontinuationReasonCodeSequence
        assert reason.CodeValue == "110513"


def test_all_workitems_that_are_and_will_be(own: Worklist) -> None:
    before = own.create()
    assert own.subscribe(EVERYTHING, "LOCKING", "?deletionlock=true").status_code == 201
    assert own.subscribe(EVERYTHING, "LOOKING").status_code == 201
    with own.line("LOCKING") as locking, own.line("LOOKING") as looking:
        assert report(locking).AffectedSOPInstanceUID == before
        assert silent(looking), "without a lock, nothing is reported of what there is"
        new = own.create(ScheduledStationNameCodeSequence=[code("AI1", "Máy AI 1")])
        for line in (locking, looking):
            told = [report(line), report(line)]
            assert [one.AffectedSOPInstanceUID for one in told] == [new, new]
            assert [one.EventTypeID for one in told] == [STATE_REPORT, ASSIGNED]
        own.claim(before)
        assert report(looking).ProcedureStepState == "IN PROGRESS"
        assert report(locking).ProcedureStepState == "IN PROGRESS"

        path = f"/dicomweb/workitems/{EVERYTHING}/subscribers"
        assert own.http.post(f"{path}/LOOKING/suspend").status_code == 200
        assert own.http.post(f"{path}/LOOKING/suspend").status_code == 404
        own.create()
        assert report(locking)
        own.claim(new)
        assert report(looking).AffectedSOPInstanceUID == new
        assert report(locking)

        assert own.http.delete(f"{path}/LOCKING").status_code == 200
        assert own.http.delete(f"{path}/LOCKING").status_code == 404
        own.bring_to("CANCELED")
        assert silent(locking)
        assert silent(looking)
        # Suspended, it is still subscribed to what it was; unsubscribed, to nothing.
        assert own.http.delete(f"{path}/LOOKING").status_code == 200


def test_workitems_of_a_filter(own: Worklist) -> None:
    mine = {"WorklistLabel": "Phổi", "PatientName": "Trần^Ánh"}
    before = own.create(**mine)
    other = own.create(WorklistLabel="Sọ não")
    keys = "WorklistLabel=phoi,PatientName=tran*,ScheduledWorkitemCodeSequence.CodeValue=110005"
    path = f"/dicomweb/workitems/{FILTERED}/subscribers/LUNGS"
    answer = own.http.post(path, params={"filter": keys, "deletionlock": "true"})
    assert answer.status_code == 201
    with own.line("LUNGS") as line:
        assert report(line).AffectedSOPInstanceUID == before
        own.create(WorklistLabel="Sọ não")
        own.claim(other)
        assert silent(line)
        new = own.create(**mine)
        assert report(line).AffectedSOPInstanceUID == new
        assert own.http.post(f"{path}/suspend").status_code == 200
        own.create(**mine)
        assert silent(line)


@pytest.mark.parametrize(
    ("uid", "query", "status"),
    [
        (FILTERED, "", 400),
        (FILTERED, "?filter=", 400),
        (FILTERED, "?filter=PatientName", 400),
        (FILTERED, "?filter=NoSuchThing=1", 400),
        (FILTERED, "?filter=ScheduledProcedureStepStartDateTime=yesterday", 400),
        (EVERYTHING, "?deletionlock=perhaps", 400),
    ],
)
def test_subscriptions_that_cannot_be(
    worklist: Worklist, uid: str, query: str, status: int
) -> None:
    assert worklist.subscribe(uid, "AE", query).status_code == status


def test_only_the_worklist_can_be_suspended(worklist: Worklist) -> None:
    uid = worklist.create()
    answer = worklist.http.post(f"/dicomweb/workitems/{uid}/subscribers/AE/suspend")
    assert (answer.status_code, answer.json()["code"]) == (400, "not_appropriate")


def test_what_happened_while_the_line_was_down_is_sent_when_it_is_open_again(
    worklist: Worklist,
    aet: str,
) -> None:
    uid = worklist.create()
    worklist.subscribe(uid, aet)
    with worklist.line(aet) as line:
        assert report(line).ProcedureStepState == "SCHEDULED"
    transaction = worklist.claim(uid)
    worklist.state(uid, "CANCELED", transaction)
    with worklist.line(aet) as line:
        told = [report(line).ProcedureStepState for _ in range(2)]
        assert told == ["IN PROGRESS", "CANCELED"], "in order, and what was heard is not repeated"
        assert silent(line)
    with worklist.line(aet) as line:
        assert silent(line)


def test_a_line_that_breaks_hears_the_last_reports_again(worklist: Worklist, aet: str) -> None:
    uid = worklist.create()
    worklist.subscribe(uid, aet)
    with worklist.line(aet) as line:
        assert report(line).ProcedureStepState == "SCHEDULED"
        line.socket.shutdown(socket.SHUT_RDWR)
    with worklist.line(aet) as again:
        assert report(again).ProcedureStepState == "SCHEDULED"


def test_every_line_of_an_ae_title_hears_everything(worklist: Worklist, aet: str) -> None:
    uid = worklist.create()
    worklist.subscribe(uid, aet)
    with worklist.line(aet) as one, worklist.line(aet) as other:
        worklist.claim(uid)
        for line in (one, other):
            states = [report(line).ProcedureStepState for _ in range(2)]
            assert states == ["SCHEDULED", "IN PROGRESS"]


@contextlib.contextmanager
def process(archive: Archive, token: str) -> Iterator[tuple[Server, Worklist]]:
    """Another server on the same archive, and a client of it."""
    started = threading.Event()
    with listen("127.0.0.1", 0) as listening:
        server = Server(create_app(archive), listening, lambda _: started.set())
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            assert started.wait(20)
            headers = {"Authorization": token}
            with httpx2.Client(base_url=address(listening), headers=headers) as http:
                yield server, Worklist(http)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def test_two_processes_on_one_database(
    own: Worklist, settings: Settings, database_url: str
) -> None:
    """Whoever is connected to one hears of what the other was told."""
    token = own.http.headers["Authorization"]
    with (
        open_archive(settings, database_url) as archive,
        process(archive, token) as (server, other),
    ):
        uid = own.create()
        other.subscribe(uid, "FAR")
        with other.line("FAR") as far, own.line("FAR") as near:
            transaction = own.claim(uid)
            other.state(uid, "CANCELED", transaction)
            for line in (far, near):
                states = [report(line).ProcedureStepState for _ in range(3)]
                assert states == ["SCHEDULED", "IN PROGRESS", "CANCELED"]
            server.should_exit = True
            farewell = report(far)
            assert farewell.EventTypeID == STATUS_CHANGE
            assert farewell.SCPStatus == "GOING DOWN"
            with pytest.raises(websockets.ConnectionClosedOK):
                far.recv(timeout=10)
            assert far.close_code == 1001
            assert silent(near)


def test_a_restart_is_reported(archive: Archive) -> None:
    with serving(archive) as running:
        worklist = Worklist(running.machine())
        worklist.subscribe(EVERYTHING, "WATCHER")
        token = worklist.http.headers["Authorization"]
    with process(archive, token) as (_, again), again.line("WATCHER") as line:
        told = report(line)
        assert silent(line)
    assert told.EventTypeID == STATUS_CHANGE
    assert told.AffectedSOPInstanceUID == EVERYTHING
    assert told.SCPStatus == "RESTARTED"
    assert told.SubscriptionListStatus == told.UnifiedProcedureStepListStatus == "WARM START"


def test_what_is_reported_while_the_database_forgets_us_is_sent_later(
    own: Worklist, archive: Archive
) -> None:
    uid = own.create()
    own.subscribe(uid, "WATCHER")
    with own.line("WATCHER") as line:
        assert report(line)
        with archive.engine.begin() as connection:
            cut = connection.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE query = 'LISTEN filmless_workitems'"
                    " AND datname = current_database()"
                )
            ).scalar_one()
        assert cut == 1
        own.claim(uid)
        assert report(line, 15).ProcedureStepState == "IN PROGRESS"


def test_a_line_outlives_the_database(
    own: Worklist, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer_api.dicomweb.workitems_lines.CHECK_SECONDS", 0.2)
    uid = own.create()
    own.subscribe(uid, "WATCHER")
    name = archive.engine.url.database
    admin = create_engine(archive.engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with own.line("WATCHER") as line, admin.connect() as connection:
        assert report(line)
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
            {"n": name},
        )
        assert own.http.get(f"/dicomweb/workitems/{uid}").status_code == 503
        assert silent(line, 1)
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
        own.claim(uid)
        assert report(line, 15).ProcedureStepState == "IN PROGRESS"
    admin.dispose()


def test_who_may_open_a_line(hospital: Hospital) -> None:
    base = hospital.url.replace("http", "ws", 1)
    url = f"{base}/dicomweb/ws/subscribers/AE"

    def refused(headers: dict[str, str], at: str = url) -> int:
        with (
            pytest.raises(websockets.InvalidStatus) as caught,
            connect(at, additional_headers=headers, proxy=None),
        ):
            pass
        response = caught.value.response
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code

    def cookies(client: httpx2.Client) -> str:
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    assert refused({}) == 401
    assert refused({"Authorization": "Bearer filmless_wrong"}) == 401
    assert refused({"Authorization": f"Bearer {hospital.tokens['clinician']}"}) == 403
    assert refused({"Cookie": cookies(hospital.follower(CT))}) == 403
    token = {"Authorization": f"Bearer {hospital.tokens['service']}"}
    assert refused(token, f"{base}/dicomweb/ws/subscribers/{'A' * 17}") == 400

    session = {"Cookie": cookies(hospital.signed_in())}
    assert refused(session | {"Origin": "https://evil.example"}) == 403
    for headers in (token, session, session | {"Origin": hospital.url}):
        with connect(url, additional_headers=headers, proxy=None) as line:
            line.send("whatever is said is not listened to")
            line.send(b"\0")
            assert silent(line)


def test_who_says_too_much_is_cut_off(worklist: Worklist, aet: str) -> None:
    with worklist.line(aet) as line:
        with pytest.raises(websockets.ConnectionClosed):
            line.send("x" * 100_000)
            line.recv(timeout=10)
        assert line.close_code == 1009


def test_a_line_ends_with_the_right_to_it(
    alone: Hospital, own: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("viewer_api.dicomweb.workitems_lines.CHECK_SECONDS", 0.2)
    client = alone.signed_in()
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    url = f"{alone.url.replace('http', 'ws', 1)}/dicomweb/ws/subscribers/AE"
    with connect(url, additional_headers={"Cookie": cookie}, proxy=None) as line:
        assert silent(line)
        assert client.delete("/api/v1/session").status_code == 204
        with pytest.raises(websockets.ConnectionClosedError):
            line.recv(timeout=15)
        assert line.close_code == 1008


def test_lines_are_not_in_the_way_of_a_thousand_reports(own: Worklist) -> None:
    """Batches: more than one look at the database brings."""
    uids = [own.create() for _ in range(130)]
    assert own.subscribe(EVERYTHING, "MANY", "?deletionlock=true").status_code == 201
    with own.line("MANY") as line:
        told = [report(line).AffectedSOPInstanceUID for _ in uids]
        assert told == uids
        assert silent(line)


def test_an_unknown_ae_title_just_hears_nothing(worklist: Worklist, aet: str) -> None:
    with worklist.line(aet) as line:
        assert silent(line)
        uid = worklist.create()
        worklist.subscribe(uid, aet)
        assert report(line).AffectedSOPInstanceUID == uid


def test_subscribing_to_what_is_not_there(worklist: Worklist) -> None:
    assert worklist.subscribe(str(generate_uid()), "AE").status_code == 404
