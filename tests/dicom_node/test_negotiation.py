"""Which contexts, roles and other terms are accepted, and by what user."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    AllTransferSyntaxes,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)
from pynetdicom.sop_class import _STORAGE_CLASSES, CTImageStorage

from dicom_node.negotiation import negotiate
from dicom_node.services import service_of
from dicom_node.services.incoming import Announcement, file_meta
from dicom_node.upper_layer.proposal import (
    Proposal,
    ProposedContext,
    Role,
    Window,
)
from pacs.dicom.part10 import read_file_meta

CT = str(CTImageStorage)
PRIVATE = "1.2.840.113619.5.2"
VERIFICATION = "1.2.840.10008.1.1"


def propose(*contexts: ProposedContext, **terms: object) -> Proposal:
    """A proposal of a modality."""
    return Proposal("MODALITY", "FILMLESS", contexts, **terms)  # type: ignore[arg-type]


def answers(*contexts: tuple[str, list[str]]) -> list[tuple[int, str]]:
    """Result and transfer syntax of each context."""
    proposed = [
        ProposedContext(abstract, tuple(syntaxes), 2 * number + 1)
        for number, (abstract, syntaxes) in enumerate(contexts)
    ]
    accepted = negotiate(propose(*proposed)).contexts
    assert [context.id for context in accepted] == [context.id for context in proposed]
    return [(context.result, context.transfer_syntax) for context in accepted]


@pytest.mark.parametrize(
    ("uid", "service"),
    [
        ("1.2.840.10008.1.1", "echo"),
        ("1.2.840.10008.5.1.4.1.1.2", "store"),
        ("1.2.840.10008.5.1.4.1.1.99999", "store"),  # storage that is newer than our tables
        ("1.2.840.113619.4.30", "store"),  # private
        ("1.2.840.10008.5.1.4.31", None),  # modality worklist
        ("1.2.840.10008.3.1.2.3.3", None),  # MPPS
        ("1.2.840.10008.5.1.1.9", None),  # print
        ("None", None),
        ("", None),
    ],
)
def test_services(uid: str, service: str | None) -> None:
    found = service_of(uid)
    assert (found and found.name) == service


def test_every_storage_class_in_every_transfer_syntax() -> None:
    for uid in _STORAGE_CLASSES.values():
        found = service_of(uid)
        assert found is not None
        assert found.name == "store"
    every = [str(uid) for uid in AllTransferSyntaxes]
    assert answers(*((CT, [uid]) for uid in every)) == [(0, uid) for uid in every]


def test_first_readable_transfer_syntax_of_each_context() -> None:
    assert answers(
        (CT, [PRIVATE, JPEG2000Lossless, ExplicitVRLittleEndian]),
        (CT, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        (CT, [PRIVATE]),
        ("1.2.3.4", [HTJ2KLossless]),
        ("1.2.840.10008.5.1.4.31", [ImplicitVRLittleEndian]),
    ) == [(0, JPEG2000Lossless), (0, ImplicitVRLittleEndian), (4, ""), (0, HTJ2KLossless), (3, "")]


def test_roles() -> None:
    """PS3.7 D.3.3.4: a peer that gets objects is their SCP; nobody is asked for C-ECHO."""
    contexts = (
        ProposedContext(CT, (ImplicitVRLittleEndian,), 1),
        ProposedContext(VERIFICATION, (ImplicitVRLittleEndian,), 3),
    )
    roles = {
        CT: Role(scu=False, scp=True),
        VERIFICATION: Role(scu=True, scp=True),
        "1.2.840.10008.5.1.4.31": Role(scu=True, scp=True),
    }
    assert negotiate(propose(*contexts, roles=roles)).roles == {
        CT: Role(scu=False, scp=True),
        VERIFICATION: Role(scu=True, scp=False),
    }


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        (None, None),
        (Window(1, 1), Window(1, 1)),
        (Window(4, 2), Window(4, 2)),
        (Window(0, 0), Window(16, 16)),
        (Window(1000, 1), Window(16, 1)),
    ],
)
def test_window(proposed: Window | None, answered: Window | None) -> None:
    assert negotiate(propose(window=proposed)).window == answered


def test_sop_class_that_only_the_peer_knows() -> None:
    """SOP class common extended negotiation (PS3.7 D.3.3.6) says that it is storage."""
    unknown = "1.2.840.10008.5.1.4.999"
    context = ProposedContext(unknown, (ImplicitVRLittleEndian,), 1)
    assert negotiate(propose(context)).contexts[0].result == 3
    proposal = propose(context, service_classes={unknown: "1.2.840.10008.4.2"})
    assert negotiate(proposal).contexts[0].result == 0


uids = st.text("0123456789.", min_size=1, max_size=64)


@given(uids, uids, uids)
def test_file_meta_is_read_back(sop_class: str, sop_instance: str, syntax: str) -> None:
    meta = file_meta(Announcement(sop_class, sop_instance, syntax))
    assert len(meta) % 2 == 0
    read = read_file_meta(meta + b"\x08\x00")
    assert read is not None
    assert (read.transfer_syntax_uid, read.dataset_start) == (syntax, len(meta))
