"""Several receivers on one port: a killed one takes nobody else's connection with it."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from dicom_node.dimse import C_ECHO_RQ, SUCCESS, Command
from dicom_node.errors import AssociationRejected, PeerUnavailable
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.proposal import ProposedContext
from dicom_node.upper_layer.requestor import associate
from tests.plugins.product import Product

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

VERIFICATION, IMPLICIT = "1.2.840.10008.1.1", "1.2.840.10008.1.2"


def connect(product: Product) -> Association:
    """An association for C-ECHO."""
    return associate(
        "127.0.0.1",
        product.dicom_port,
        calling_aet="TESTMOD",
        called_aet="FILMLESS",
        contexts=[ProposedContext(VERIFICATION, (IMPLICIT,))],
    )


def echo(association: Association) -> int | None:
    """The status of a C-ECHO."""
    request = Command(command_field=C_ECHO_RQ, message_id=1, affected_sop_class_uid=VERIFICATION)
    association.send(1, request)
    message = association.receive()
    return message.command.status if message is not None else None


def receivers(product: Product) -> dict[int, int]:
    """How many associations each receiver has, by process."""
    supervisor = product.process_of("dicom").parent()
    assert supervisor is not None
    return {
        process.pid: sum(
            connection.laddr.port == product.dicom_port and connection.status == "ESTABLISHED"
            for connection in process.net_connections("tcp")
        )
        for process in supervisor.children()
        if "dicom" in process.cmdline()
    }


def test_receivers_share_the_port_the_limit_and_no_fate(
    start_product: Callable[..., Product],
) -> None:
    product = start_product(parts="dicom,api", PACS_DICOM_RECEIVERS="3", PACS_MAX_ASSOCIATIONS="6")
    with ExitStack() as open_ones:
        associations = [connect(product) for _ in range(6)]
        for association in associations:
            open_ones.callback(association.abort)
        shares = receivers(product)
        assert sum(shares.values()) == 6
        assert min(shares.values()) >= 1
        with pytest.raises(AssociationRejected, match="Local limit exceeded") as refused:
            connect(product)
        assert (refused.value.result, refused.value.source, refused.value.reason) == (2, 3, 2)

        psutil.Process(min(shares)).kill()
        product.wait_for_log("dicom ended by signal 9; starting it again")
        alive = [association for association in associations if lives(association)]
        assert len(alive) == 6 - shares[min(shares)]

        deadline = time.monotonic() + 60
        while not set(receivers(product)) - set(shares):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # The slots of the dead one are free again, no more and no fewer.
        for _ in range(shares[min(shares)]):
            again = patiently(product)
            open_ones.callback(again.abort)
            assert echo(again) == SUCCESS
        with pytest.raises(AssociationRejected):
            connect(product)
    began = time.monotonic()
    assert product.stop() == 0
    assert time.monotonic() - began < 20
    product.assert_no_traceback()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", product.dicom_port)) != 0


def lives(association: Association) -> bool:
    """Whether it still answers."""
    try:
        return echo(association) == SUCCESS
    except PeerUnavailable:
        return False


def patiently(product: Product) -> Association:
    """An association, as soon as there is room for it."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect(product)
        except AssociationRejected:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_tls_that_cannot_be_used(new_product: Callable[..., Product], tmp_path: Path) -> None:
    product = new_product(parts="dicom")
    files = {
        f"PACS_DICOM_TLS_{name}": str(tmp_path / f"{name.lower()}.pem")
        for name in ("CERTIFICATE", "KEY", "CA")
    }
    refusal = product.refusal(environment={"PACS_DICOM_TLS_PORT": "0"})
    assert refusal.status == 1
    assert "dicom_tls_port needs dicom_tls_certificate" in refusal.lines[-1]
    ports = ("--dicom-port", "0")
    refusal = product.refusal(*ports, environment={"PACS_DICOM_TLS_PORT": "0", **files})
    assert refusal.status == 1
    (line,) = refusal.lines
    assert line.startswith(f"pacs: {tmp_path}/certificate.pem (dicom_tls_certificate)")
    assert not (product.data_dir / "postgres").exists()
