"""Whether an association is accepted (PS3.8 7.1.1.7): who calls whom, and how many there are."""

from dataclasses import dataclass

from dicom_node.callers import Callers
from dicom_node.identity import identify
from dicom_node.negotiation import MOST_OPERATIONS, negotiate
from dicom_node.slots import Slots
from dicom_node.upper_layer.connection import Connection
from dicom_node.upper_layer.proposal import (
    CALLED_AET_UNKNOWN,
    LOCAL_LIMIT,
    Acceptance,
    Proposal,
    Rejection,
)
from pacs.archive import Archive
from pacs.devices import Device


@dataclass(slots=True)
class Admission:
    """The decision on one connection's request; `leave` once its association is over."""

    archive: Archive
    callers: Callers
    slots: Slots
    connection: Connection
    device: Device | None = None
    """The known device that calls; None: a program of this machine that is none."""
    _slot: int | None = None

    def decide(self, proposal: Proposal) -> Acceptance | Rejection:
        """Accept or reject what a peer proposes."""
        if proposal.called_aet != self.archive.settings.aet:
            return CALLED_AET_UNKNOWN
        caller = self.callers.admit(proposal.calling_aet, self.connection.address[0])
        if isinstance(caller, Rejection):
            return caller
        identified = identify(self.archive.engine, proposal.identity)
        if isinstance(identified, Rejection):
            return identified
        self.device = caller
        most = caller.max_associations if caller is not None else None
        self._slot = self.slots.claim(proposal.calling_aet, most)
        if self._slot is None:
            return LOCAL_LIMIT
        return negotiate(
            proposal,
            caller,
            identified,
            # Answers beside the receiving would use a TLS connection from two threads at once.
            most_operations=1 if self.connection.is_tls else MOST_OPERATIONS,
        )

    def leave(self) -> None:
        """Make room for another."""
        slot, self._slot = self._slot, None
        if slot is not None:
            self.slots.release(slot)
