"""`pacs demo`: real studies by real DICOM, followed to the worklist."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dicom_node.send import Peer
from dicom_node.server import Node
from pacs import demo, triage
from pacs.archive import Archive
from pacs.workflow import settle_quiet_studies


@pytest.fixture
def peer(archive: Archive) -> Iterator[Peer]:
    """The archive as a modality knows it."""
    with Node(archive, "127.0.0.1", 0) as node:
        yield Peer(*node.address, "FILMLESS")


@contextmanager
def worker(archive: Archive, *, ai: bool = True) -> Iterator[None]:
    """Settles studies and finds nothing to say of them, as a worker without a model would."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            with archive.engine.begin() as connection:
                for study in settle_quiet_studies(connection, 0.3):
                    if ai:
                        triage.record(connection, study, [])

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_selection_is_real_small_and_of_many_kinds() -> None:
    studies = demo.studies()
    assert len(studies) == len(demo.SELECTION) == len({s.study_instance_uid for s in studies})
    assert sum(file.stat().st_size for s in studies for file in s.files) < 60 << 20


def test_every_study_reaches_the_worklist(archive: Archive, peer: Peer) -> None:
    studies = demo.studies()
    screen = StringIO()
    with worker(archive):
        arrived = demo.show(
            studies,
            peer,
            archive.engine,
            console=Console(file=screen, width=160),
            seconds=60,
            show_unregistered=True,
        )
    assert arrived
    assert [study["state"] for study in demo.report(studies)] == ["triaged"] * len(studies)
    modalities = {name for study in studies if study.item for name in study.item.modalities}
    assert modalities >= {"CR", "CT", "MR", "US", "NM"}
    assert "chest radiograph with lung masses" in screen.getvalue()


def test_second_time_is_no_trouble(archive: Archive, peer: Peer) -> None:
    for _ in range(2):
        studies = demo.studies()[:2]
        with worker(archive):
            assert demo.follow(studies, peer, archive.engine, seconds=30, show_unregistered=True)
        assert all(study["seconds"] is not None for study in demo.report(studies))


def test_study_that_nobody_triages_is_a_failure(archive: Archive, peer: Peer) -> None:
    studies = demo.studies()[1:2]
    with worker(archive, ai=False):
        assert not demo.follow(studies, peer, archive.engine, seconds=2, show_unregistered=True)
    assert "waiting for the AI" in str(studies[0].failure)


def test_refused_study_is_said_and_the_others_arrive(archive: Archive, peer: Peer) -> None:
    class Picky:
        """Sends all but one kind of file."""

        echo = peer.echo

        def send(self, files: Sequence[Path]) -> Iterator[Path]:
            if files[0].name.startswith("RG3"):
                return Peer(peer.host, peer.port, "NOBODY").send(files)
            return peer.send(files)

    studies = demo.studies()[:3]
    with worker(archive):
        assert not demo.follow(studies, Picky(), archive.engine, seconds=30, show_unregistered=True)
    assert [study.failure is None for study in studies] == [True, False, True]
    assert "Called AE title not recognised" in str(studies[1].failure)
