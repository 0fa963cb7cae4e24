"""User identity (PS3.7 D.3.3.7), as pynetdicom asks for it."""

from typing import Any

import pytest
from pynetdicom import AE, build_context
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import Verification

from dicom_node.server import Node
from pacs.archive import Archive
from pacs.people.permissions import Role
from pacs.people.users import create_user, disable_user

PASSCODE = "correct horse battery"


@pytest.fixture
def people(archive: Archive) -> None:
    """Two accounts, one of them disabled."""
    with archive.engine.begin() as connection:
        create_user(connection, "ct.operator", PASSCODE, Role.TECHNICIAN)
        create_user(connection, "gone", PASSCODE, Role.TECHNICIAN)
        disable_user(connection, "gone")


def associate(
    node: Node, kind: int, primary: bytes, secondary: bytes = b"", *, response: bool = True
) -> Association:
    """An attempt at an association by that user."""
    identity = UserIdentityNegotiation()
    identity.user_identity_type = kind
    identity.primary_field = primary
    if secondary:
        identity.secondary_field = secondary
    identity.positive_response_requested = response
    ae = AE("TESTMOD")
    contexts = [build_context(Verification)]
    return ae.associate(*node.address, contexts, ae_title="FILMLESS", ext_neg=[identity])


def responses(association: Association) -> list[Any]:
    """The user identity responses of the A-ASSOCIATE-AC."""
    items = association.acceptor.primitive.user_information
    return [item.server_response for item in items if isinstance(item, UserIdentityNegotiation)]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("response", [True, False])
@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [(1, b"ct.operator", b""), (2, b"CT.Operator", PASSCODE.encode())],
)
def test_accepted(kind: int, primary: bytes, secondary: bytes, response: bool, node: Node) -> None:
    association = associate(node, kind, primary, secondary, response=response)
    assert association.is_established
    assert responses(association) == ([b""] if response else [])
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("kind", "primary", "secondary"),
    [
        (1, b"nobody", b""),
        (1, b"gone", b""),
        (2, b"ct.operator", b"wrong passcode"),
        (2, b"nobody", PASSCODE.encode()),
        (2, b"gone", PASSCODE.encode()),
        (2, b"\xff\xfe", b"\xff"),
    ],
)
def test_refused(kind: int, primary: bytes, secondary: bytes, node: Node) -> None:
    association = associate(node, kind, primary, secondary)
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 1)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("kind", [3, 4, 5])
def test_kinds_that_we_do_not_know(kind: int, node: Node) -> None:
    """Neither accepted nor refused: no response is sent, which the requestor has to judge."""
    association = associate(node, kind, b"a ticket")
    assert association.is_established
    assert responses(association) == []
    association.release()
