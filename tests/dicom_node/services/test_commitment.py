"""Storage commitment: promised is what is there, whole; and whoever asked hears of it."""

import asyncio
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage, StorageCommitmentPushModel

from dicom_node.commitment_user import request_commitment
from dicom_node.server import Node
from dicom_node.worker import register
from pacs import commitment, devices, jobs
from pacs.archive import Archive
from pacs.commitment import Reference
from tests.plugins.ports import free_port

PUSH, INSTANCE = StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
CR = str(ComputedRadiographyImageStorage)
REPORT_SECONDS = 20

Report = tuple[int, Dataset]


class Modality:
    """pynetdicom as a modality that stores, asks, and hears the answer."""

    def __init__(self, node: Node) -> None:
        self.reports: queue.Queue[Report] = queue.Queue()
        self.port = free_port()
        self._node = node
        self._server: Any = None

    def listen(self) -> None:
        """Listen for reports."""
        ae = AE("MOD1")
        ae.add_supported_context(PUSH, scu_role=False, scp_role=True)
        self._server = ae.start_server(
            ("127.0.0.1", self.port),
            block=False,
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)],
        )

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()

    def ask(
        self,
        references: list[tuple[str, str]],
        *,
        uid: str | None = None,
        stay: bool = False,
        **wrong: Any,
    ) -> int:
        """The status of the answer; `stay`: until the report has come on the same association."""
        asked = Dataset()
        asked.TransactionUID = uid or generate_uid()
        asked.ReferencedSOPSequence = []
        for sop_class, instance in references:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
            asked.ReferencedSOPSequence.append(item)
        association = AE("MOD1").associate(
            *self._node.address,
            contexts=[build_context(PUSH)],
            ae_title="FILMLESS",
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._report)],
        )
        assert association.is_established
        status, _ = association.send_n_action(
            asked, wrong.get("action", 1), PUSH, wrong.get("instance", INSTANCE)
        )
        if stay:
            self.heard = self.reports.get(timeout=REPORT_SECONDS)
            time.sleep(0.2)  # or pynetdicom would release instead of answering
        association.release()
        return int(status.Status)

    def _report(self, event: Any) -> tuple[int, None]:
        self.reports.put((event.event_type, event.event_information))
        return 0x0000, None


@pytest.fixture
def modality(node: Node) -> Iterator[Modality]:
    made = Modality(node)
    yield made
    made.close()


@pytest.fixture
def known(archive: Archive, modality: Modality) -> devices.Device:
    """The modality as a device that listens."""
    with archive.engine.begin() as connection:
        return devices.add(connection, "MOD1", host="127.0.0.1", port=modality.port)


def work(archive: Archive) -> None:
    """Do all jobs that are due."""

    async def run() -> None:
        app = jobs.queue_on(archive.database_url)
        register(app, archive)
        async with app.open_async():
            await app.run_worker_async(wait=False, install_signal_handlers=False)

    with archive.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE procrastinate_jobs SET scheduled_at = now()")
    asyncio.run(run())


def sequence(report: Dataset, keyword: str) -> list[tuple[Any, ...]]:
    return [
        (item.ReferencedSOPInstanceUID, *([item.FailureReason] if "FailureReason" in item else []))
        for item in report.get(keyword) or []
    ]


def test_what_is_safe_is_committed_to(
    archive: Archive, modality: Modality, known: devices.Device, filled: Any
) -> None:
    modality.listen()
    uid = str(generate_uid())
    assert modality.ask([(CR, "1.1.1.1"), (CR, "1.2.1.1")], uid=uid) == 0x0000
    work(archive)
    event, report = modality.reports.get(timeout=REPORT_SECONDS)
    assert (event, report.TransactionUID) == (1, uid)
    assert sequence(report, "ReferencedSOPSequence") == [("1.1.1.1",), ("1.2.1.1",)]
    assert "FailedSOPSequence" not in report
    with archive.engine.connect() as connection:
        assert commitment.find(connection, "MOD1", uid).reported_at is not None


def test_what_is_not_is_told_with_the_reason(
    archive: Archive, modality: Modality, known: devices.Device, filled: Any
) -> None:
    modality.listen()
    with archive.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sop_instance_uid, object_key FROM instances")
        keys = {str(uid): str(key) for uid, key in rows}
    damaged = Path(archive.settings.data_dir, "objects", keys["1.1.1.1"])
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    archive.store.delete(keys["1.2.2.1"])
    ct = "1.2.840.10008.5.1.4.1.1.2"
    modality.ask([(CR, "1.1.1.1"), (ct, "1.2.1.1"), (CR, "1.2.2.1"), (CR, "9.9"), (CR, "1.3.1.1")])
    work(archive)
    event, report = modality.reports.get(timeout=REPORT_SECONDS)
    assert event == 2
    assert sequence(report, "FailedSOPSequence") == [
        *(("1.1.1.1", 0x0110), ("1.2.1.1", 0x0119), ("1.2.2.1", 0x0110), ("9.9", 0x0112)),
    ]
    assert sequence(report, "ReferencedSOPSequence") == [("1.3.1.1",)]


def test_a_peer_that_is_down_hears_it_when_it_is_back(
    archive: Archive, modality: Modality, known: devices.Device, filled: Any
) -> None:
    assert modality.ask([(CR, "1.1.1.1")]) == 0x0000
    work(archive)
    assert modality.reports.empty()
    modality.listen()
    work(archive)
    event, _ = modality.reports.get(timeout=REPORT_SECONDS)
    assert event == 1
    work(archive)
    assert modality.reports.empty()


def test_the_same_transaction_again_is_answered_once_each(
    archive: Archive, modality: Modality, known: devices.Device, filled: Any
) -> None:
    modality.listen()
    uid = str(generate_uid())
    for _ in range(3):
        assert modality.ask([(CR, "1.1.1.1")], uid=uid) == 0x0000
    work(archive)
    modality.reports.get(timeout=REPORT_SECONDS)
    assert modality.reports.empty()
    assert modality.ask([(CR, "1.1.1.1")], uid=uid) == 0x0000
    work(archive)
    modality.reports.get(timeout=REPORT_SECONDS)
    assert modality.reports.empty()


def test_who_listens_nowhere_hears_it_where_it_asked(
    archive: Archive, modality: Modality, filled: Any
) -> None:
    uid = str(generate_uid())
    assert modality.ask([(CR, "1.1.1.1"), (CR, "9.9")], uid=uid, stay=True) == 0x0000
    event, report = modality.heard
    assert (event, report.TransactionUID) == (2, uid)
    assert sequence(report, "FailedSOPSequence") == [("9.9", 0x0112)]
    with archive.engine.connect() as connection:
        assert commitment.find(connection, "MOD1", uid).reported_at is not None


def test_what_was_heard_long_ago_is_forgotten(
    archive: Archive, modality: Modality, known: devices.Device, filled: Any
) -> None:
    modality.listen()
    old, new = str(generate_uid()), str(generate_uid())
    modality.ask([(CR, "1.1.1.1")], uid=old)
    work(archive)
    with archive.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE commitments SET reported_at = now() - interval '31 days'"
        )
    modality.ask([(CR, "1.1.1.1")], uid=new)
    work(archive)
    with archive.engine.connect() as connection:
        assert commitment.find(connection, "MOD1", new).reported_at is not None
        with pytest.raises(commitment.NoCommitment):
            commitment.find(connection, "MOD1", old)


@pytest.mark.parametrize(
    ("references", "wrong", "status"),
    [
        ([], {}, 0x0115),
        ([(CR, "no UID")], {}, 0x0115),
        ([(CR, "1.1.1.1")], {"action": 2}, 0x0123),
        ([(CR, "1.1.1.1")], {"instance": "1.2.3"}, 0x0112),
    ],
)
def test_what_is_no_request(
    modality: Modality,
    filled: Any,
    references: list[tuple[str, str]],
    wrong: dict[str, Any],
    status: int,
) -> None:
    assert modality.ask(references, **wrong) == status


def test_as_scu_we_ask_and_keep_the_answer(archive: Archive, node: Node) -> None:
    asked: queue.Queue[Dataset] = queue.Queue()

    def action(event: Any) -> tuple[int, None]:
        asked.put(event.action_information)
        return 0x0000, None

    ae = AE("PACS2")
    ae.add_supported_context(PUSH)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_ACTION, action)]
    )
    with archive.engine.begin() as connection:
        device = devices.add(connection, "PACS2", host="127.0.0.1", port=server.server_address[1])
    references = [Reference(CR, "1.1.1.1"), Reference(CR, "1.2.1.1")]
    uid = request_commitment(archive, device, references)
    request = asked.get(timeout=REPORT_SECONDS)
    server.shutdown()
    assert request.TransactionUID == uid
    assert sequence(request, "ReferencedSOPSequence") == [("1.1.1.1",), ("1.2.1.1",)]

    report = Dataset()
    report.TransactionUID = uid
    failed = Dataset()
    failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID = CR, "1.2.1.1"
    failed.FailureReason = 0x0112
    report.FailedSOPSequence = [failed]
    association = AE("PACS2").associate(
        *node.address,
        contexts=[build_context(PUSH)],
        ext_neg=[build_role(PUSH, scp_role=True)],
        ae_title="FILMLESS",
    )
    status, _ = association.send_n_event_report(report, 2, PUSH, INSTANCE)
    assert status.Status == 0x0000
    report.TransactionUID = "1.2.3"
    status, _ = association.send_n_event_report(report, 2, PUSH, INSTANCE)
    assert status.Status == 0x0115
    association.release()
    with archive.engine.connect() as connection:
        kept = commitment.find(connection, "PACS2", uid)
    assert [one.sop_instance_uid for one in kept.safe] == ["1.1.1.1"]
    assert [(one.sop_instance_uid, reason) for one, reason in kept.failed] == [("1.2.1.1", 0x0112)]


def test_the_queue_knows_the_task(archive: Archive) -> None:
    app = jobs.queue_on(archive.database_url)
    register(app, archive)
    assert commitment.ANSWER_COMMITMENT in app.tasks
