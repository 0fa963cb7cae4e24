"""UPS-RS: reports over real WebSockets: kept, repeated, from any process, to whom they may go."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx2
import pytest
import websockets
from sqlalchemy import create_engine, text
from websockets.sync.client import connect

from pacs.archive import Archive, open_archive
from pacs.settings import Settings
from tests.plugins.hospital import CT, Hospital, serving
from tests.plugins.workitems import (
    EVERYTHING,
    Worklist,
    report,
    silent,
)
from viewer_api.app import create_app
from viewer_api.server import Server, address, listen

STATUS_CHANGE = 4


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
    monkeypatch.setattr("viewer_api.dicomweb.workitems.lines.CHECK_SECONDS", 0.2)
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
    monkeypatch.setattr("viewer_api.dicomweb.workitems.lines.CHECK_SECONDS", 0.2)
    client = alone.signed_in()
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    url = f"{alone.url.replace('http', 'ws', 1)}/dicomweb/ws/subscribers/AE"
    with connect(url, additional_headers={"Cookie": cookie}, proxy=None) as line:
        assert silent(line)
        assert client.delete("/api/v1/session").status_code == 204
        with pytest.raises(websockets.ConnectionClosedError):
            line.recv(timeout=15)
        assert line.close_code == 1008


def test_an_unknown_ae_title_just_hears_nothing(worklist: Worklist, aet: str) -> None:
    with worklist.line(aet) as line:
        assert silent(line)
        uid = worklist.create()
        worklist.subscribe(uid, aet)
        assert report(line).AffectedSOPInstanceUID == uid
