"""Many connections at once: bounded, told once, and no modality is kept out."""

import logging
import os
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dicom_node.errors import AssociationRejected
from dicom_node.server import CONNECTIONS_TO_REFUSE, Node
from dicom_node.slots import Slots, new_slots_file
from pacs import devices
from pacs.archive import Archive


def open_files() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_500_connections_that_say_nothing(
    archive: Archive, node: Node, echoscu: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert echoscu().returncode == 0
    threads, descriptors = threading.active_count(), open_files()
    most = archive.settings.max_associations + CONNECTIONS_TO_REFUSE
    with ExitStack() as open_ones, caplog.at_level(logging.WARNING):
        for _ in range(500):
            open_ones.enter_context(socket.create_connection(node.address, timeout=10))
        deadline = time.monotonic() + 10
        while threading.active_count() - threads > most:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert echoscu().returncode == 0
    said = [record for record in caplog.records if "those that say nothing" in record.message]
    assert 1 <= len(said) <= 3
    deadline = time.monotonic() + 10
    while threading.active_count() > threads or open_files() > descriptors:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_slots_over_receivers() -> None:
    file = new_slots_file(5)
    try:
        first, second = Slots(os.dup(file), 1, 2), Slots(os.dup(file), 2, 2)
        held = [first.claim("CT1", None), first.claim("CT1", 2), second.claim("CR1", 1)]
        assert sorted(slot for slot in held if slot is not None) == [0, 1, 2]
        assert first.claim("CT1", 2) is None  # as many as the device may have
        assert second.claim("CT1", 2) is None
        assert first.is_busier_than_another()
        assert not second.is_busier_than_another()
        assert second.claim("CT2", None) is not None
        assert second.claim("CT2", None) is not None
        assert first.claim("MR", None) is None  # as many as there may be at all
        # The first one dies, and another is started in its place.
        first.close()
        first = Slots(os.dup(file), 1, 2)
        assert first.claim("CT1", 2) is not None
        slot = first.claim("MR", None)
        assert slot is not None
        assert first.claim("MR", None) is None
        first.release(slot)
        assert first.claim("MR", None) is not None
        first.close()
        second.close()
    finally:
        os.close(file)


def test_limit_of_a_device(archive: Archive, node: Node, requestor: Any, real_file: Any) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, "TESTMOD", max_associations=2)
    file = real_file("emri_small.dcm")
    two = [requestor(node, file) for _ in range(2)]
    with pytest.raises(AssociationRejected, match="Local limit exceeded"):
        requestor(node, file)
    two[0].release()
    deadline = time.monotonic() + 10
    while True:
        try:
            requestor(node, file).release()
            break
        except AssociationRejected:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_a_device_may_do(archive: Archive, node: Node, requestor: Any, real_file: Any) -> None:
    file = real_file("emri_small.dcm")
    with archive.engine.begin() as connection:
        devices.add(connection, "TESTMOD", services=["echo", "find"])
    assert requestor(node, file).association.contexts == {}


def test_transfer_syntaxes_of_a_device(
    archive: Archive, node: Node, requestor: Any, real_file: Any
) -> None:
    file = real_file("emri_small.dcm")
    with archive.engine.begin() as connection:
        devices.add(connection, "TESTMOD", sends=["1.2.840.10008.1.2.4.90"])
    assert requestor(node, file).association.contexts == {}
