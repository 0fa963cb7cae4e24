"""Which presentation contexts we accept (PS3.8 7.1.1.13, PS3.4 B.1).

Storage of anything that can be stored: every storage SOP class of the standard, those that are
newer than our tables, and private ones; each in any transfer syntax whose data sets we can read.
Nothing is transcoded on the way in, so of the transfer syntaxes of a context we take the one that
the peer named first: it knows best what its files are in.
"""

from collections.abc import Iterable

from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass, VerificationServiceClass
from pynetdicom.sop_class import uid_to_service_class

TRANSFER_SYNTAXES = frozenset(AllTransferSyntaxes)

_STANDARD = "1.2.840.10008."
_STANDARD_STORAGE = "1.2.840.10008.5.1.4.1.1."


def is_accepted(abstract_syntax: str) -> bool:
    """Whether objects of this SOP class can be stored here, or it is Verification."""
    service = uid_to_service_class(abstract_syntax)
    if service in (StorageServiceClass, VerificationServiceClass):
        return True
    known_otherwise = service.__name__ != "ServiceClass"
    return not known_otherwise and (
        abstract_syntax.startswith(_STANDARD_STORAGE) or not abstract_syntax.startswith(_STANDARD)
    )


def narrow(proposed: Iterable[PresentationContext]) -> list[PresentationContext]:
    """What we support of the proposed contexts.

    Each proposed context keeps only the first transfer syntax that we can read, where there is
    one; those without are left as they are, and are refused with reason 4 by the negotiation.
    """
    supported: dict[str, list[UID]] = {}
    for context in proposed:
        syntaxes = supported.setdefault(str(context.abstract_syntax), [])
        readable = next((uid for uid in context.transfer_syntax if uid in TRANSFER_SYNTAXES), None)
        if readable is not None:
            context.transfer_syntax = [readable]
            if readable not in syntaxes:
                syntaxes.append(readable)
    return [
        _context(abstract_syntax, syntaxes)
        for abstract_syntax, syntaxes in supported.items()
        if is_accepted(abstract_syntax)
    ]


def _context(abstract_syntax: str, transfer_syntaxes: list[UID]) -> PresentationContext:
    context = PresentationContext()
    context.abstract_syntax = UID(abstract_syntax)
    # Without any, the peer would hear "abstract syntax not supported", which is not the reason.
    context.transfer_syntax = transfer_syntaxes or sorted(TRANSFER_SYNTAXES)
    return context
