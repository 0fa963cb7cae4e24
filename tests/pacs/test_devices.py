"""Known devices: what is kept of them, and whom a caller is taken for."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from pacs import devices
from pacs.database.engine import connect


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A transaction on a fresh database."""
    engine = connect(database_url)
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_a_caller_is_known_by_its_title_and_where_it_calls_from(connection: Connection) -> None:
    devices.add(connection, "CT1", network="10.1.2.0/24", services=["store", "echo"])
    device = devices.find(connection, "CT1 ", "10.1.2.77")
    assert device is not None
    assert (device.aet, device.services) == ("CT1", ("echo", "store"))
    assert device.allows("store") and not device.allows("find")
    assert devices.find(connection, "CT1", "::ffff:10.1.2.77") is not None
    assert devices.find(connection, "CT1", "10.1.3.77") is None
    assert devices.find(connection, "CT2", "10.1.2.77") is None
    devices.change(connection, "CT1", enabled=False)
    assert devices.find(connection, "CT1", "10.1.2.77") is None


def test_what_is_not_said_is_allowed(connection: Connection) -> None:
    device = devices.add(connection, "CT1")
    assert all(device.allows(service) for service in devices.SERVICES)
    assert (device.network, device.sends, device.takes) == (None, None, None)
    assert (device.character_set, device.paused) == ("ISO_IR 192", False)
    assert not device.is_destination


def test_a_change_leaves_the_rest_and_adding_anew_does_not(connection: Connection) -> None:
    devices.add(connection, "CT1", host="ct1.local", port=104, tls=True, description="CT")
    changed = devices.change(connection, "CT1", port=11112, paused=True)
    assert (changed.host, changed.port, changed.tls, changed.paused) == (
        *("ct1.local", 11112, True, True),
    )
    assert changed.description == "CT"
    assert devices.add(connection, "CT1").host is None


def test_only_what_listens_is_a_destination(connection: Connection) -> None:
    devices.add(connection, "CT1")
    devices.add(connection, "WS1", host="10.1.2.3", port=104)
    assert devices.destination(connection, "CT1") is None
    assert devices.destination(connection, "NOBODY") is None
    found = devices.destination(connection, "WS1")
    assert found is not None
    assert (found.host, found.port) == ("10.1.2.3", 104)
    devices.change(connection, "WS1", enabled=False)
    assert devices.destination(connection, "WS1") is None


@pytest.mark.parametrize(
    "properties",
    [
        {"host": "10.1.2.3"},
        {"port": 104},
        {"host": "10.1.2.3", "port": 0},
        {"host": "no host", "port": 104},
        {"services": ["print"]},
        {"services": []},
        {"sends": ["JPEG"]},
        {"takes": []},
        {"character_set": "UTF-8"},
        {"character_set": "ISO_IR 192\\ISO_IR 100"},
        {"max_associations": -1},
        {"network": "10.1.2"},
    ],
)
def test_impossible_properties(connection: Connection, properties: devices.Properties) -> None:
    with pytest.raises(devices.DeviceError, match="CT1"):
        devices.add(connection, "CT1", **properties)


@pytest.mark.parametrize(
    "terms",
    ["ISO_IR 192", "ISO_IR 6", "GB18030", "\\ISO 2022 IR 87", "ISO 2022 IR 13\\ISO 2022 IR 87"],
)
def test_character_sets(connection: Connection, terms: str) -> None:
    assert devices.add(connection, "CT1", character_set=terms).character_set == terms


def test_nobody_can_be_changed(connection: Connection) -> None:
    with pytest.raises(devices.DeviceError, match="NOBODY"):
        devices.change(connection, "NOBODY", paused=True)
