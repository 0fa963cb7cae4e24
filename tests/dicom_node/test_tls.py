"""DICOM over TLS (PS3.15 B.12): DCMTK's programs, our own, wrong certificates, old protocols."""

import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import ComputedRadiographyImageStorage
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

from dicom_node.errors import PeerUnavailable
from dicom_node.send import peer_of
from dicom_node.server import Node
from dicom_node.tls import TlsUnusable, calling_context, listening_context
from dicom_node.upper_layer.proposal import Window
from pacs import devices
from pacs.archive import Archive
from pacs.ingest import Source
from pacs.settings import Settings, SettingsError, load_settings
from tests.plugins.certificates import Authority, openssl
from tests.plugins.dcmtk import program
from tests.plugins.ports import free_port

RealFile = Callable[[str], Path]
CR, GET, MOVE = ComputedRadiographyImageStorage, Get, Move


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that our hospital trusts."""
    return Authority(tmp_path_factory.mktemp("tls") / "ours", "Hospital CA")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that it does not trust."""
    return Authority(tmp_path_factory.mktemp("tls") / "theirs", "Another CA")


@pytest.fixture
def settings(tmp_path: Path, authority: Authority) -> Settings:
    """Settings with TLS on a free port."""
    certificate, key = authority.issue("pacs")
    return load_settings(
        data_dir=tmp_path / "data",
        dicom_tls_port=0,
        dicom_tls_certificate=certificate,
        dicom_tls_key=key,
        dicom_tls_ca=authority.certificate,
    )


@pytest.fixture
def node(archive: Archive) -> Iterator[Node]:
    """A node with both doors."""
    with Node(archive, "127.0.0.1", 0) as running:
        yield running


def dcmtk(name: str, node: Node, certificate: Path, key: Path, ca: Path, *more: str) -> Any:
    """Run one of DCMTK's programs over TLS."""
    assert node.tls_address is not None
    return subprocess.run(
        [
            *(program(name), "-v", "-aec", "FILMLESS", "+tls", str(key), str(certificate)),
            *("+cf", str(ca), "127.0.0.1", str(node.tls_address[1]), *more),
        ],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_dcmtk(node: Node, authority: Authority, shelf: Any, real_file: RealFile) -> None:
    certificate, key = authority.issue("ct1")
    done = dcmtk("echoscu", node, certificate, key, authority.certificate)
    assert done.returncode == 0, done.stderr
    file = real_file("RG1_UNCR.dcm")
    done = dcmtk("storescu", node, certificate, key, authority.certificate, str(file))
    assert done.returncode == 0, done.stderr
    assert len(shelf.instances()) == 1


def test_our_own(
    node: Node, settings: Settings, shelf: Any, real_file: RealFile, requestor: Any
) -> None:
    """One operation at a time, whatever is asked for: TLS is not read and written at once."""
    one = requestor(
        node,
        real_file("RG1_UNCR.dcm"),
        address=node.tls_address,
        tls=calling_context(settings),
        window=Window(8, 1),
    )
    assert one.association.terms.window == Window(1, 1)
    assert one.association.remote.certificate_name == "pacs"
    one.request()
    one.request()
    assert (one.answer(), one.answer()) == ((1, 0x0000), (2, 0x0000))
    one.release()
    assert len(shelf.objects()) == 1


def test_retrieval(
    node: Node, authority: Authority, archive: Archive, real_file: RealFile, tmp_path: Path
) -> None:
    """C-GET on an encrypted association, C-MOVE to a device that listens by TLS."""
    file = real_file("RG1_UNCR.dcm")
    received = archive.ingest.receive([file.read_bytes()], Source("import", "test"))
    came: list[bytes] = []

    def take(event: Any) -> int:
        came.append(event.request.DataSet.getvalue())
        return 0x0000

    port, (certificate, key) = free_port(), authority.issue("ws1")
    theirs = archive.settings.model_copy(
        update={"dicom_tls_certificate": certificate, "dicom_tls_key": key}
    )
    ae = AE("WS1")
    ae.add_supported_context(CR)
    server = ae.start_server(
        ("127.0.0.1", port),
        block=False,
        ssl_context=listening_context(theirs),
        evt_handlers=[(evt.EVT_C_STORE, take)],
    )
    with archive.engine.begin() as connection:
        device = devices.add(connection, "WS1", host="127.0.0.1", port=port, tls=True)
    assert node.tls_address is not None
    association = ae.associate(
        *node.tls_address,
        contexts=[build_context(GET), build_context(MOVE), build_context(CR)],
        ext_neg=[build_role(CR, scp_role=True)],
        ae_title="FILMLESS",
        tls_args=(calling_context(theirs), None),
        evt_handlers=[(evt.EVT_C_STORE, take)],
    )
    assert association.is_established
    asked = Dataset()
    asked.QueryRetrieveLevel = "STUDY"
    asked.StudyInstanceUID = received.study_instance_uid
    assert [status.Status for status, _ in association.send_c_get(asked, GET)] == [0x0000]
    moved = list(association.send_c_move(asked, "WS1", MOVE))
    assert moved[-1][0].Status == 0x0000
    association.release()
    server.shutdown()
    assert [file.read_bytes().endswith(one) and len(one) > 6_000_000 for one in came] == [True] * 2
    with pytest.raises(PeerUnavailable):
        peer_of(device, archive.settings).echo()


def test_certificate_of_another_authority(
    node: Node, authority: Authority, stranger: Authority, shelf: Any
) -> None:
    certificate, key = stranger.issue("ct1")
    done = dcmtk("echoscu", node, certificate, key, authority.certificate)
    assert done.returncode != 0
    assert shelf.instances() == []


def test_we_trust_no_other_authority(
    node: Node, settings: Settings, stranger: Authority, requestor: Any, real_file: RealFile
) -> None:
    theirs = settings.model_copy(update={"dicom_tls_ca": stranger.certificate})
    with pytest.raises(PeerUnavailable, match="certificate"):
        requestor(
            node,
            real_file("RG1_UNCR.dcm"),
            address=node.tls_address,
            tls=calling_context(theirs),
        )


@pytest.mark.parametrize("client", ["none", "old", "weak", "plain"])
def test_who_does_not_get_in(client: str, node: Node, settings: Settings) -> None:
    assert node.tls_address is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client != "none":
        assert settings.dicom_tls_certificate is not None
        context.load_cert_chain(settings.dicom_tls_certificate, settings.dicom_tls_key)
    if client == "old":
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.minimum_version = ssl.TLSVersion.TLSv1_1
    if client == "weak":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES256-SHA")
    with (
        socket.create_connection(node.tls_address, timeout=10) as connected,
        pytest.raises((OSError, AssertionError)),
    ):
        if client == "plain":
            connected.sendall(b"\x01\x00\x00\x00\x00\x04\x00\x00\x00\x00")
            assert connected.recv(1) == b"\x01"
        with context.wrap_socket(connected) as encrypted:
            assert encrypted.recv(1)  # TLS 1.3 tells of the missing certificate only now


def test_settings_belong_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="dicom_tls_port needs dicom_tls_certificate"):
        load_settings(data_dir=tmp_path, dicom_tls_port=2762)


def test_files_that_cannot_be_used(
    tmp_path: Path, settings: Settings, authority: Authority
) -> None:
    missing = tmp_path / "missing.pem"
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear colleague")
    encrypted = tmp_path / "encrypted.key"
    openssl("genrsa", "-aes128", "-passout", "pass:secret", "-out", encrypted, "2048")
    _, other_key = authority.issue("other")
    for changed, said in (
        ({"dicom_tls_certificate": missing}, "missing.pem .dicom_tls_certificate. cannot be read"),
        ({"dicom_tls_key": missing}, "missing.pem .dicom_tls_key. cannot be read"),
        ({"dicom_tls_ca": missing}, "missing.pem .dicom_tls_ca. cannot be read"),
        ({"dicom_tls_ca": letter}, "letter.txt .dicom_tls_ca. holds no certificate"),
        ({"dicom_tls_certificate": letter}, "letter.txt .dicom_tls_certificate. and the key"),
        ({"dicom_tls_key": other_key}, "belong to each other"),
        ({"dicom_tls_key": encrypted}, "without a passphrase"),
        ({"dicom_tls_ca": None}, "needs dicom_tls_ca"),
    ):
        with pytest.raises(TlsUnusable, match=said):
            listening_context(settings.model_copy(update=changed))
