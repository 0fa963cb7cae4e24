"""`pacs devices`."""

from __future__ import annotations

from typing import Annotated

import typer

from pacs.cli.options import AsJson, DataDir, audit, say, transaction
from pacs.cli.output import print_json, print_table

devices = typer.Typer(help="Modalities and other DICOM peers.", no_args_is_help=True)

Title = Annotated[str, typer.Argument(help="The device's AE title.", metavar="AET")]


@devices.command("add")
def add(
    aet: Title,
    *,
    network: Annotated[
        str | None,
        typer.Option(help="Address or network (10.1.2.0/24) it calls from; any unless given."),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is, in words.")] = "",
    station_name: Annotated[str, typer.Option(help="Its Station Name (0008,1010).")] = "",
    enabled: Annotated[bool, typer.Option(help="Whether it may call now.")] = True,
    data_dir: DataDir = None,
) -> None:
    """Let a device send images, or change what is known of it."""
    from pacs import devices as known

    with transaction(data_dir) as connection:
        device = known.add(
            connection,
            aet,
            network=network,
            description=description,
            station_name=station_name,
            enabled=enabled,
        )
        audit(connection, "device.add", aet=device.aet, network=device.network or "any")
    say(f"{device.aet} may call from {device.network or 'any address'}")


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
        ["AE title", "from", "station", "description", "enabled"],
        [(d.aet, d.network or "any", d.station_name, d.description, d.enabled) for d in found],
    )


@devices.command("remove")
def remove(aet: Title, data_dir: DataDir = None) -> None:
    """Forget a device; it is refused from now on."""
    from pacs import devices as known

    with transaction(data_dir) as connection:
        known.remove(connection, aet)
        audit(connection, "device.remove", aet=aet)
    say(f"{aet} is forgotten")
