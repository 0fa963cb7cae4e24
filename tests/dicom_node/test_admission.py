"""Who may associate, and how many."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import Verification

from dicom_node.callers import DATABASE_DOWN, PAUSED, UNKNOWN_CALLER, Callers
from dicom_node.errors import AddressUnavailable
from dicom_node.server import Node
from pacs import devices
from pacs.archive import Archive
from pacs.database.engine import connect


@pytest.fixture
def outside() -> str:
    """An address of this machine that is no loopback address: to us its callers are others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.99", 9))  # for documentation only; nothing is sent
        except OSError:
            pytest.skip("this machine has no network but its loopback interface")
        address: str = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has no network but its loopback interface")
    return address


@pytest.fixture
def open_node(archive: Archive, outside: str) -> Iterator[Node]:
    """A node that others can reach."""
    with Node(archive, outside, 0) as running:
        yield running


def associate(node: Node, calling: str = "TESTMOD", called: str = "FILMLESS") -> Association:
    """An association for C-ECHO, or an attempt at one."""
    ae = AE(calling)
    ae.acse_timeout = 10
    return ae.associate(*node.address, contexts=[build_context(Verification)], ae_title=called)


def refusal(association: Association) -> tuple[int, int, int]:
    """Result, source and reason of the A-ASSOCIATE-RJ."""
    assert association.is_rejected
    answer = association.acceptor.primitive
    return answer.result, answer.result_source, answer.diagnostic


def test_wrong_called_title(echoscu: Any) -> None:
    done = echoscu(called="OTHERPACS")
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stderr


def test_unknown_caller_from_elsewhere(open_node: Node, echoscu: Any, shelf: Any) -> None:
    host, port = open_node.address
    done = echoscu(host=host, port=port)
    assert done.returncode != 0
    assert "Calling AE Title Not Recognized" in done.stderr


@pytest.mark.parametrize(
    ("network", "enabled", "accepted"),
    [
        (None, True, True),
        ("own", True, True),
        ("own/24", True, True),
        ("203.0.113.0/24", True, False),
        (None, False, False),
    ],
)
def test_known_device(
    archive: Archive,
    open_node: Node,
    outside: str,
    network: str | None,
    enabled: bool,
    accepted: bool,
) -> None:
    if network is not None:
        network = network.replace("own", outside)
    with archive.engine.begin() as connection:
        devices.add(connection, "MODALITY1", network=network, enabled=enabled)
    association = associate(open_node, "MODALITY1")
    assert association.is_established == accepted
    if accepted:
        assert association.send_c_echo().Status == 0
        association.release()
    else:
        assert refusal(association) == (1, 1, 3)


def test_decision_on_callers(archive: Archive) -> None:
    callers = Callers(archive.engine)
    assert callers.admit("ANY", "127.0.0.1") is None
    assert callers.admit("ANY", "::1") is None
    assert callers.admit("ANY", "::ffff:127.0.0.1") is None
    assert callers.admit("ANY", "10.1.2.3") is UNKNOWN_CALLER
    with archive.engine.begin() as connection:
        devices.add(connection, "SIX", network="fd00::/8")
        devices.add(connection, "FOUR", network="10.0.0.0/8")
        devices.add(connection, "REPAIRED", paused=True)
    assert admitted(callers, "SIX", "fd00::7%eth0") == "SIX"
    assert callers.admit("SIX", "10.1.2.3") is UNKNOWN_CALLER
    assert admitted(callers, "FOUR", "::ffff:10.1.2.3") == "FOUR"
    assert callers.admit("REPAIRED", "127.0.0.1") is PAUSED


def admitted(callers: Callers, aet: str, address: str) -> str:
    """The AE title of the device that may associate."""
    device = callers.admit(aet, address)
    assert isinstance(device, devices.Device)
    return device.aet


def test_strangers_wait_while_the_database_is_away(tmp_path: Path) -> None:
    nowhere = connect("postgresql://nobody@127.0.0.1:9/none")
    assert Callers(nowhere).admit("ANY", "10.1.2.3") is DATABASE_DOWN
    assert Callers(nowhere).admit("ANY", "127.0.0.1") is None
    nowhere.dispose()


def test_limit_of_associations(node: Node) -> None:
    with ExitStack() as open_ones:
        for _ in range(4):
            association = associate(node)
            assert association.is_established
            open_ones.callback(association.release)
        assert refusal(associate(node)) == (2, 3, 2)


def test_released_association_makes_room_at_once(node: Node) -> None:
    with ExitStack() as open_ones:
        for _ in range(3):
            open_ones.callback(associate(node).release)
        for _ in range(20):
            association = associate(node)
            assert association.is_established
            association.release()


def test_address_in_use(archive: Archive, node: Node) -> None:
    with pytest.raises(AddressUnavailable, match=f"{node.address[1]}.*--dicom-port"):
        Node(archive, *node.address).start()


def test_devices_are_kept(archive: Archive) -> None:
    with archive.engine.begin() as connection:
        devices.add(connection, " CT1 ", network="10.1.2.3", description="CT", station_name="CT01")
        devices.add(connection, "CR 1")
        devices.add(connection, "CR 1", network="10.1.2.77/24")
        assert [(device.aet, device.network) for device in devices.list_devices(connection)] == [
            ("CR 1", "10.1.2.0/24"),
            ("CT1", "10.1.2.3/32"),
        ]
        devices.remove(connection, "CT1")
        with pytest.raises(devices.DeviceError, match="CT1"):
            devices.remove(connection, "CT1")


@pytest.mark.parametrize("title", ["", "  ", "SEVENTEEN-LETTERS", "A\\B", "Đ", "A\n"])
def test_what_is_no_title(archive: Archive, title: str) -> None:
    with archive.engine.begin() as connection, pytest.raises(devices.DeviceError):
        devices.add(connection, title)


def test_what_is_no_network(archive: Archive) -> None:
    with (
        archive.engine.begin() as connection,
        pytest.raises(devices.DeviceError, match=r"10\.1\.2"),
    ):
        devices.add(connection, "CT1", network="10.1.2")
