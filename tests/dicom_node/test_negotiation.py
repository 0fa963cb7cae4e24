"""Which contexts are accepted, and the file meta information of what comes in them."""

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
from pynetdicom import build_context
from pynetdicom.sop_class import _STORAGE_CLASSES, CTImageStorage

from dicom_node.incoming import Announcement, file_meta
from dicom_node.negotiation import is_accepted, narrow
from pacs.dicom.part10 import read_file_meta


@pytest.mark.parametrize(
    ("uid", "accepted"),
    [
        ("1.2.840.10008.1.1", True),
        ("1.2.840.10008.5.1.4.1.1.2", True),
        ("1.2.840.10008.5.1.4.1.1.99999", True),  # storage that is newer than our tables
        ("1.2.840.113619.4.30", True),  # private
        ("1.2.840.10008.5.1.4.1.2.2.1", False),  # C-FIND
        ("1.2.840.10008.5.1.4.31", False),  # modality worklist
        ("1.2.840.10008.1.20.1", False),  # storage commitment
        ("1.2.840.10008.3.1.2.3.3", False),  # MPPS
        ("1.2.840.10008.5.1.1.9", False),  # print
    ],
)
def test_services(uid: str, accepted: bool) -> None:
    assert is_accepted(uid) == accepted


def test_every_storage_class_in_every_transfer_syntax() -> None:
    for uid in _STORAGE_CLASSES.values():
        assert is_accepted(uid)
    proposed = [build_context(CTImageStorage, uid) for uid in AllTransferSyntaxes]
    (supported,) = narrow(proposed)
    assert set(supported.transfer_syntax) == set(AllTransferSyntaxes)


def test_first_readable_transfer_syntax_of_each_context() -> None:
    private = "1.2.840.113619.5.2"
    proposed = [
        build_context(CTImageStorage, [private, JPEG2000Lossless, ExplicitVRLittleEndian]),
        build_context(CTImageStorage, [ImplicitVRLittleEndian, ExplicitVRLittleEndian]),
        build_context(CTImageStorage, [private]),
        build_context("1.2.3.4", HTJ2KLossless),
    ]
    supported = {str(c.abstract_syntax): set(c.transfer_syntax) for c in narrow(proposed)}
    assert supported == {
        CTImageStorage: {JPEG2000Lossless, ImplicitVRLittleEndian},
        "1.2.3.4": {HTJ2KLossless},
    }
    assert [context.transfer_syntax[0] for context in proposed[:3]] == [
        JPEG2000Lossless,
        ImplicitVRLittleEndian,
        private,
    ]


uids = st.text("0123456789.", min_size=1, max_size=64)


@given(uids, uids, uids)
def test_file_meta_is_read_back(sop_class: str, sop_instance: str, syntax: str) -> None:
    meta = file_meta(Announcement(sop_class, sop_instance, syntax))
    assert len(meta) % 2 == 0
    read = read_file_meta(meta + b"\x08\x00")
    assert read is not None
    assert (read.transfer_syntax_uid, read.dataset_start) == (syntax, len(meta))
