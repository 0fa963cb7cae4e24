"""Known devices: which application entities may talk to this archive, and from where."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Index,
    Table,
    Text,
    delete,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import insert

from pacs.database.metadata import metadata
from pacs.errors import PacsError

devices = Table(
    "devices",
    metadata,
    Column("aet", Text, primary_key=True, comment="AE title, as PS3.5 6.2 has it: without padding"),
    Column("network", Text, comment="address or network in CIDR notation; null: any address"),
    Column("description", Text, nullable=False, server_default=""),
    Column("station_name", Text, nullable=False, server_default=""),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index(None, "station_name"),
)

# PS3.5 6.2: AE is up to 16 characters of the default repertoire, no backslash, no control
# characters, and not only spaces.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")


class DeviceError(PacsError):
    """A device that cannot be added or found; says which and why."""

    def __init__(self, reason: str, aet: str) -> None:
        super().__init__(f"device {aet!r}: {reason}")
        self.aet = aet


@dataclass(frozen=True, slots=True)
class Device:
    """An application entity that may talk to this archive."""

    aet: str
    network: str | None
    description: str
    station_name: str
    enabled: bool
    created: datetime


def add(
    connection: Connection,
    aet: str,
    *,
    network: str | None = None,
    description: str = "",
    station_name: str = "",
    enabled: bool = True,
) -> Device:
    """Make a device known, or change the one with this AE title.

    `network` is an address ("10.1.2.3") or a network ("10.1.2.0/24"); None means any address.
    Raises DeviceError for what can be no AE title (PS3.5 6.2) or no address.
    """
    title = aet.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise DeviceError("an AE title is 1 to 16 ASCII characters without a backslash", aet)
    values = {
        "network": None if network is None else _network(title, network),
        "description": description,
        "station_name": station_name,
        "enabled": enabled,
    }
    row = connection.execute(
        insert(devices)
        .values(aet=title, **values)
        .on_conflict_do_update(index_elements=[devices.c.aet], set_=values)
        .returning(devices)
    ).one()
    return Device(**row._mapping)


def remove(connection: Connection, aet: str) -> None:
    """Forget a device. Raises DeviceError where there is none of this AE title."""
    if not connection.execute(delete(devices).where(devices.c.aet == aet.strip(" "))).rowcount:
        raise DeviceError("there is none with this AE title", aet)


def list_devices(connection: Connection) -> list[Device]:
    """All devices, by AE title."""
    rows = connection.execute(select(devices).order_by(devices.c.aet))
    return [Device(**row._mapping) for row in rows]


def is_known(connection: Connection, aet: str, address: str) -> bool:
    """Whether an enabled device has this AE title and may call from this IP address."""
    row = connection.execute(
        select(devices.c.network).where(devices.c.aet == aet.strip(" "), devices.c.enabled)
    ).one_or_none()
    if row is None:
        return False
    return row.network is None or _plain(address) in ipaddress.ip_network(row.network)


def is_this_machine(address: str) -> bool:
    """Whether an IP address is a loopback address, which only this machine can call from."""
    return _plain(address).is_loopback


def _network(aet: str, network: str) -> str:
    try:
        return str(ipaddress.ip_network(network.strip(), strict=False))
    except ValueError as error:
        raise DeviceError(f"{network!r} is neither an IP address nor a network", aet) from error


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address; one of IPv4 that came in on an IPv6 socket as its IPv4 self."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
