"""Known devices: which application entities may talk to this archive, from where, and how.

A device is also a destination where its host and port are known: C-MOVE sends there, and storage
commitment reports there.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict, Unpack, get_args

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    delete,
    false,
    func,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from pacs.database.metadata import metadata
from pacs.errors import PacsError

DeviceService = Literal["echo", "store", "find", "move", "get", "commit"]
SERVICES: tuple[DeviceService, ...] = get_args(DeviceService)

_REGISTRATIONS = (6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166)
DEFAULT_CHARACTER_SET = "ISO_IR 192"
# PS3.3 C.12.1.1.2: one of the first, or several of the second, the first of which may be empty.
CHARACTER_SETS = frozenset(
    ("GB18030", "GBK", *(f"ISO_IR {n}" for n in _REGISTRATIONS), "ISO_IR 192")
)
CODE_EXTENSIONS = frozenset(f"ISO 2022 IR {n}" for n in (*_REGISTRATIONS, 58, 87, 149, 159))

devices = Table(
    "devices",
    metadata,
    Column("aet", Text, primary_key=True, comment="AE title, as PS3.5 6.2 has it: without padding"),
    Column("network", Text, comment="address or network in CIDR notation; null: any address"),
    Column("description", Text, nullable=False, server_default=""),
    Column("station_name", Text, nullable=False, server_default=""),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("created", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("host", Text, comment="where it listens; null: nothing is sent to it"),
    Column("port", Integer),
    Column("tls", Boolean, nullable=False, server_default=false()),
    Column("services", ARRAY(Text), comment="what it may ask for; null: everything"),
    Column("sends", ARRAY(Text), comment="transfer syntaxes taken from it; null: all"),
    Column("takes", ARRAY(Text), comment="transfer syntaxes sent to it; null: all"),
    Column(
        "character_set",
        Text,
        nullable=False,
        server_default=DEFAULT_CHARACTER_SET,
        comment="of answers to it, as in SpecificCharacterSet",
    ),
    Column("max_associations", Integer, comment="at a time; null: as many as anybody"),
    Index(None, "station_name"),
    CheckConstraint("(host IS NULL) = (port IS NULL)", name="host_and_port"),
    CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    CheckConstraint("max_associations > 0", name="max_associations"),
)

# PS3.5 6.2: AE is up to 16 characters of the default repertoire, no backslash, no control
# characters, and not only spaces.
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}")


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
    paused: bool
    """Its associations are refused for now: "try again later"."""
    host: str | None
    port: int | None
    tls: bool
    services: tuple[DeviceService, ...] | None
    """What it may ask for; None: everything."""
    sends: tuple[str, ...] | None
    """UIDs of the transfer syntaxes that are accepted of what it sends; None: all we can read."""
    takes: tuple[str, ...] | None
    """UIDs of the transfer syntaxes that it is sent; None: whatever it accepts."""
    character_set: str
    """Of answers to it: the value of SpecificCharacterSet (PS3.3 C.12.1.1.2)."""
    max_associations: int | None
    """How many it may have at a time; None: as many as anybody."""

    def allows(self, service: DeviceService) -> bool:
        """Whether it may ask for this service."""
        return self.services is None or service in self.services

    @property
    def is_destination(self) -> bool:
        """Whether anything can be sent to it."""
        return self.host is not None and self.port is not None


class Properties(TypedDict, total=False):
    """What may be said of a device; see Device."""

    network: str | None
    description: str
    station_name: str
    enabled: bool
    paused: bool
    host: str | None
    port: int | None
    tls: bool
    services: Sequence[str] | None
    sends: Sequence[str] | None
    takes: Sequence[str] | None
    character_set: str
    max_associations: int | None


_DEFAULTS = Properties(
    network=None,
    description="",
    station_name="",
    enabled=True,
    paused=False,
    host=None,
    port=None,
    tls=False,
    services=None,
    sends=None,
    takes=None,
    character_set=DEFAULT_CHARACTER_SET,
    max_associations=None,
)


def add(connection: Connection, aet: str, **properties: Unpack[Properties]) -> Device:
    """Make a device known, or say anew all that is known of the one with this AE title.

    `network` is an address ("10.1.2.3") or a network ("10.1.2.0/24"); None means any address.
    Raises DeviceError for what can be no AE title (PS3.5 6.2) and for impossible properties.
    """
    title = aet.strip(" ")
    if not _AE_TITLE.fullmatch(title):
        raise DeviceError("an AE title is 1 to 16 ASCII characters without a backslash", aet)
    values = _checked(title, {**_DEFAULTS, **properties})
    row = connection.execute(
        insert(devices)
        .values(aet=title, **values)
        .on_conflict_do_update(index_elements=[devices.c.aet], set_=values)
        .returning(devices)
    ).one()
    return _device(row._mapping)


def change(connection: Connection, aet: str, **properties: Unpack[Properties]) -> Device:
    """Change some properties of a device; the others stay.

    Raises DeviceError where there is none of this AE title, and for impossible properties.
    """
    known = get(connection, aet)
    values = _checked(known.aet, {"host": known.host, "port": known.port, **properties})
    row = connection.execute(
        update(devices).where(devices.c.aet == known.aet).values(**values).returning(devices)
    ).one()
    return _device(row._mapping)


def remove(connection: Connection, aet: str) -> None:
    """Forget a device. Raises DeviceError where there is none of this AE title."""
    if not connection.execute(delete(devices).where(devices.c.aet == aet.strip(" "))).rowcount:
        raise _unknown(aet)


def list_devices(connection: Connection) -> list[Device]:
    """All devices, by AE title."""
    rows = connection.execute(select(devices).order_by(devices.c.aet))
    return [_device(row._mapping) for row in rows]


def get(connection: Connection, aet: str) -> Device:
    """The device with this AE title, enabled or not. Raises DeviceError."""
    row = connection.execute(select(devices).where(devices.c.aet == aet.strip(" "))).one_or_none()
    if row is None:
        raise _unknown(aet)
    return _device(row._mapping)


def find(connection: Connection, aet: str, address: str) -> Device | None:
    """The enabled device that has this AE title and may call from this IP address."""
    row = connection.execute(
        select(devices).where(devices.c.aet == aet.strip(" "), devices.c.enabled)
    ).one_or_none()
    if row is None:
        return None
    if row.network is not None and _plain(address) not in ipaddress.ip_network(row.network):
        return None
    return _device(row._mapping)


def destination(connection: Connection, aet: str) -> Device | None:
    """The enabled device with this AE title, where anything can be sent to it."""
    row = connection.execute(
        select(devices).where(devices.c.aet == aet.strip(" "), devices.c.enabled)
    ).one_or_none()
    device = None if row is None else _device(row._mapping)
    return device if device is not None and device.is_destination else None


def is_this_machine(address: str) -> bool:
    """Whether an IP address is a loopback address, which only this machine can call from."""
    return _plain(address).is_loopback


def _unknown(aet: str) -> DeviceError:
    return DeviceError("there is none with this AE title", aet)


def _device(row: Mapping[Any, Any]) -> Device:
    lists = {name: row[name] and tuple(row[name]) for name in ("services", "sends", "takes")}
    return Device(**{**row, **lists})


def _checked(aet: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The properties as the table has them. Raises DeviceError."""
    values = dict(given)
    if values.get("network") is not None:
        values["network"] = _network(aet, values["network"])
    _check_destination(aet, values["host"], values["port"])
    if values.get("services") is not None:
        values["services"] = _services(aet, values["services"])
    for name in ("sends", "takes"):
        if values.get(name) is not None:
            values[name] = _transfer_syntaxes(aet, values[name])
    if "character_set" in values:
        values["character_set"] = _character_set(aet, values["character_set"])
    if (values.get("max_associations") or 1) < 1:
        raise DeviceError("max_associations must be 1 or more", aet)
    return values


def _check_destination(aet: str, host: str | None, port: int | None) -> None:
    if (host is None) != (port is None):
        raise DeviceError("as a destination it needs both a host and a port", aet)
    if host is not None and not _HOST.fullmatch(host):
        raise DeviceError(f"{host!r} is neither a host name nor an IP address", aet)
    if port is not None and not 1 <= port <= 65535:
        raise DeviceError(f"{port} is no port (1 to 65535)", aet)


def _services(aet: str, names: Sequence[str]) -> list[str]:
    unknown = sorted(set(names) - set(SERVICES))
    if unknown or not names:
        raise DeviceError(
            f"services are {', '.join(SERVICES)}; not {', '.join(unknown) or 'none at all'}", aet
        )
    return [name for name in SERVICES if name in names]


def _transfer_syntaxes(aet: str, uids: Sequence[str]) -> list[str]:
    for uid in uids:
        if len(uid) > 64 or not _UID.fullmatch(uid):
            raise DeviceError(f"{uid[:64]!r} is no UID of a transfer syntax", aet)
    if not uids:
        raise DeviceError("at least one transfer syntax is needed", aet)
    return list(uids)


def _character_set(aet: str, text: str) -> str:
    terms = text.strip().split("\\")
    several = len(terms) > 1
    for term in terms:
        if term in CHARACTER_SETS and not several:
            continue
        if term not in CODE_EXTENSIONS and not (several and term == ""):
            raise DeviceError(
                f"{text[:80]!r} is no character set, such as ISO_IR 192, ISO_IR 100 or ISO_IR 6",
                aet,
            )
    return "\\".join(terms)


def _network(aet: str, network: str) -> str:
    try:
        return str(ipaddress.ip_network(network.strip(), strict=False))
    except ValueError as error:
        raise DeviceError(f"{network!r} is neither an IP address nor a network", aet) from error


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IP address; one of IPv4 that came in on an IPv6 socket as its IPv4 self."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
