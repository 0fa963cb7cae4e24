"""Live events: who hears what, and that streams end when the server does."""

import json
import threading
import time
from queue import Empty, Queue
from typing import Any

import httpx2

from pacs.archive import Archive
from pacs.events import notify
from tests.plugins.hospital import CT, RADIOGRAPH, Hospital, serving

Event = tuple[str, dict[str, Any]]


class Stream:
    """The events of an open stream, read in the background."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self._events: Queue[Event | None] = Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        assert self.next()[0] == "ping"

    def next(self, seconds: float = 10) -> Event:
        event = self._events.get(timeout=seconds)
        assert event is not None, "the stream has ended"
        return event

    def silent(self, seconds: float = 0.6) -> bool:
        try:
            self._events.get(timeout=seconds)
        except Empty:
            return True
        return False

    def ended(self, seconds: float = 10) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._events.get(timeout=seconds) is None:
                self._thread.join()
                return True
        return False

    def _read(self) -> None:
        try:
            with self._client.stream("GET", "/api/v1/events") as answer:
                assert answer.headers["content-type"].startswith("text/event-stream")
                name = ""
                for line in answer.iter_lines():
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: "):
                        self._events.put((name, json.loads(line.removeprefix("data: "))))
        except httpx2.HTTPError:
            pass
        finally:
            self._events.put(None)


def tell(archive: Archive, uid: str) -> None:
    with archive.engine.begin() as connection:
        notify(connection, uid, "complete")


def test_pages_hear_what_they_may_and_streams_end_with_the_server(archive: Archive) -> None:
    with serving(archive) as hospital:
        ct = hospital.receive(CT).study_instance_uid
        radiograph = hospital.receive(RADIOGRAPH).study_instance_uid
        time.sleep(1)  # the events of their arrival pass
        doctor = Stream(hospital.signed_in())
        patient = Stream(hospital.follower(CT))

        tell(archive, radiograph)
        name, data = doctor.next()
        assert name == "study"
        assert data["studyInstanceUID"] == radiograph
        assert data["change"] == "complete"
        assert data["item"]["studyInstanceUID"] == radiograph
        assert patient.silent()

        tell(archive, ct)
        assert doctor.next()[1]["studyInstanceUID"] == ct
        assert patient.next()[1]["studyInstanceUID"] == ct

        for _ in range(50):
            tell(archive, ct)
        heard = [doctor.next()]
        while not doctor.silent():
            heard.append(("", {}))
        assert len(heard) < 20, "a burst is gathered into few events"

        tell(archive, "1.2.3")
        assert doctor.next()[1] == {"studyInstanceUID": "1.2.3", "change": "complete", "item": None}
        started = time.monotonic()
        hospital.stop()
        assert doctor.ended()
        assert patient.ended()
        assert time.monotonic() - started < 5


def test_storing_an_object_is_heard(hospital: Hospital) -> None:
    stream = Stream(hospital.signed_in())
    hospital.receive("rtplan.dcm")
    name, data = stream.next()
    assert name == "study"
    assert data["change"] == "arrived"
    assert data["item"]["modalities"] == ["RTPLAN"]
