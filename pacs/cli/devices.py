"""`pacs devices`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs.cli.options import AsJson, DataDir, audit, say, transaction
from pacs.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pacs.devices import Device

devices = typer.Typer(help="Modalities and other DICOM peers.", no_args_is_help=True)

Title = Annotated[str, typer.Argument(help="The device's AE title.", metavar="AET")]
Network = Annotated[
    str | None, typer.Option(help="Address or network (10.1.2.0/24) it calls from, or `any`.")
]
Description = Annotated[str | None, typer.Option(help="What it is, in words.")]
Station = Annotated[str | None, typer.Option(help="Its Station Name (0008,1010).")]
Enabled = Annotated[
    bool | None, typer.Option("--enabled/--no-enabled", help="Whether it is known at all.")
]
Host = Annotated[str | None, typer.Option(help="Where it listens, or `none`.")]
Port = Annotated[int | None, typer.Option(help="The port that it listens on.")]
Tls = Annotated[bool | None, typer.Option("--tls/--no-tls", help="Whether it listens by TLS.")]
Services = Annotated[
    str | None,
    typer.Option(help="What it may ask for: echo,store,find,move,get,commit, or `all`."),
]
Sends = Annotated[
    str | None,
    typer.Option(
        help="Transfer syntaxes that are taken from it (UIDs or names such as"
        " ExplicitVRLittleEndian, separated by commas), or `all`."
    ),
]
Takes = Annotated[
    str | None, typer.Option(help="Transfer syntaxes that it is sent, as above, or `all`.")
]
CharacterSet = Annotated[
    str | None,
    typer.Option(
        help="Of answers to it: ISO_IR 192 unless given, ISO_IR 100, 'ISO 2022 IR 13\\\\ISO 2022"
        " IR 87'…; ISO_IR 6: letters without diacritics."
    ),
]
MaxAssociations = Annotated[
    int | None, typer.Option(help="How many associations it may have at a time, 0: no limit.")
]


@devices.command("add")
def add(
    aet: Title,
    *,
    network: Network = None,
    description: Description = None,
    station_name: Station = None,
    enabled: Enabled = None,
    host: Host = None,
    port: Port = None,
    tls: Tls = None,
    services: Services = None,
    sends: Sends = None,
    takes: Takes = None,
    character_set: CharacterSet = None,
    max_associations: MaxAssociations = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Let a device talk to this archive, or say anew all that is known of it."""
    from pacs import devices as known

    given = _given(locals())
    with transaction(data_dir) as connection:
        device = known.add(connection, aet, **given)
        audit(connection, "device.add", aet=device.aet, network=device.network or "any")
    _show(device, as_json=as_json)


@devices.command("set")
def change(
    aet: Title,
    *,
    network: Network = None,
    description: Description = None,
    station_name: Station = None,
    enabled: Enabled = None,
    host: Host = None,
    port: Port = None,
    tls: Tls = None,
    services: Services = None,
    sends: Sends = None,
    takes: Takes = None,
    character_set: CharacterSet = None,
    max_associations: MaxAssociations = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change some of what is known of a device; the rest stays."""
    from pacs import devices as known

    given = _given(locals())
    with transaction(data_dir) as connection:
        device = known.change(connection, aet, **given)
        audit(connection, "device.set", aet=device.aet, changed=", ".join(given))
    _show(device, as_json=as_json)


@devices.command("list")
def list_all(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the known devices."""
    from pacs import devices as known

    with transaction(data_dir) as connection:
        found = known.list_devices(connection)
    if as_json:
        print_json(found)
        return
    print_table(
        ["AE title", "from", "listens at", "may", "characters", "station", "description", "state"],
        [
            (
                *(d.aet, d.network or "any", _address(d), ", ".join(d.services or ("all",))),
                *(d.character_set, d.station_name, d.description, _state(d)),
            )
            for d in found
        ],
    )


@devices.command("remove")
def remove(aet: Title, data_dir: DataDir = None) -> None:
    """Forget a device; it is refused from now on."""
    from pacs import devices as known

    with transaction(data_dir) as connection:
        known.remove(connection, aet)
        audit(connection, "device.remove", aet=aet)
    say(f"{aet} is forgotten")


@devices.command("pause")
def pause(aet: Title, data_dir: DataDir = None) -> None:
    """Refuse a device's associations for now: it hears that it may try again later."""
    _set_paused(aet, data_dir, paused=True)
    say(f"{aet} is told to try again later")


@devices.command("resume")
def resume(aet: Title, data_dir: DataDir = None) -> None:
    """Let a paused device associate again."""
    _set_paused(aet, data_dir, paused=False)
    say(f"{aet} may associate again")


@devices.command("echo")
def echo(aet: Title, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Ask a device by C-ECHO whether it is there; exit status 0 only when it answers."""
    import time

    from dicom_node.send import peer_of
    from pacs import devices as known
    from pacs.settings import load_settings

    with transaction(data_dir) as connection:
        device = known.get(connection, aet)
    peer = peer_of(device, load_settings(data_dir=data_dir))
    began = time.monotonic()
    peer.echo()
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    if as_json:
        print_json({"aet": device.aet, "milliseconds": milliseconds})
    else:
        say(f"{peer} answers in {milliseconds} ms")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as properties of a device."""
    nothing = {"any": None, "all": None, "none": None}
    properties: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or name in ("aet", "as_json", "data_dir", "known"):
            continue
        if name in ("network", "host"):
            properties[name] = nothing.get(value, value)
        elif name == "services":
            properties[name] = None if value == "all" else _parts(value)
        elif name in ("sends", "takes"):
            properties[name] = None if value == "all" else [_uid(one) for one in _parts(value)]
        elif name == "max_associations":
            properties[name] = value or None
        else:
            properties[name] = value
    if "host" in properties and properties["host"] is None:
        properties["port"] = None
    return properties


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _uid(name: str) -> str:
    """A transfer syntax by its UID, or by its keyword in PS3.6."""
    from pydicom import uid

    known = getattr(uid, name, name)
    return str(known) if isinstance(known, str) else name


def _set_paused(aet: str, data_dir: DataDir, *, paused: bool) -> None:
    from pacs import devices as known

    with transaction(data_dir) as connection:
        known.change(connection, aet, paused=paused)
        audit(connection, "device.pause" if paused else "device.resume", aet=aet)


def _show(device: Device, *, as_json: bool) -> None:
    if as_json:
        print_json(device)
        return
    where = f", listens at {_address(device)}" if device.is_destination else ""
    say(f"{device.aet} may call from {device.network or 'any address'}{where}: {_state(device)}")


def _address(device: Device) -> str | None:
    if not device.is_destination:
        return None
    return f"{device.host}:{device.port}{' (TLS)' if device.tls else ''}"


def _state(device: Device) -> str:
    if not device.enabled:
        return "not known"
    return "paused" if device.paused else "allowed"
