"""What is proposed for sending: objects as they are stored, and as what they can become."""

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    AllTransferSyntaxes,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_node.storage_user import proposals
from dicom_node.upper_layer.requestor import MAX_CONTEXTS

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT, J2K = map(
    str, (ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless)
)


def pairs(kinds: set[tuple[str, str]], takes: list[str] | None = None) -> list[tuple[str, str]]:
    return [
        (context.abstract_syntax, context.transfer_syntaxes[0])
        for contexts in proposals(kinds, takes)
        for context in contexts
    ]


def test_as_stored_first_and_uncompressed_besides() -> None:
    assert pairs({(CT, J2K), (CT, IMPLICIT), (MR, EXPLICIT)}) == [
        *((CT, IMPLICIT), (CT, EXPLICIT), (CT, J2K)),
        *((MR, EXPLICIT), (MR, IMPLICIT)),
    ]


def test_private_transfer_syntaxes_cannot_become_others() -> None:
    assert pairs({(CT, "1.2.3.4")}) == [(CT, "1.2.3.4")]


def test_only_what_the_device_takes() -> None:
    assert pairs({(CT, J2K), (MR, EXPLICIT)}, [IMPLICIT]) == [(CT, IMPLICIT), (MR, IMPLICIT)]
    assert pairs({(CT, "1.2.3.4")}, [IMPLICIT]) == []
    assert proposals(set()) == []


@given(
    st.sets(
        st.tuples(
            st.integers(1, 200).map("1.2.840.10008.5.1.4.1.1.{}".format),
            st.sampled_from([*AllTransferSyntaxes, "1.2.3.4"]).map(str),
        ),
        max_size=400,
    )
)
def test_any_number_of_kinds_fits_into_associations(kinds: set[tuple[str, str]]) -> None:
    lists = proposals(kinds)
    assert all(0 < len(contexts) <= MAX_CONTEXTS for contexts in lists)
    proposed = [(c.abstract_syntax, *c.transfer_syntaxes) for contexts in lists for c in contexts]
    assert kinds <= set(proposed)
    assert len(proposed) == len(set(proposed))
    # All objects of a class go over one association.
    for sop_class in {kind[0] for kind in kinds}:
        homes = [n for n, contexts in enumerate(lists) for c in contexts
                 if c.abstract_syntax == sop_class]  # fmt: skip
        assert len(set(homes)) == 1
