"""Storage as SCU (PS3.4 B, PS3.7 9.1.1): data sets to a peer as they are stored, or transcoded.

The same for C-STORE on associations that we ask for and for the sub-operations of C-GET, which run
on the peer's own.
"""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

from dicom_node.dimse import C_STORE_RQ, C_STORE_RSP, MEDIUM, Command
from dicom_node.errors import AssociationAborted, DicomNodeError
from dicom_node.upper_layer.association import Association, Context
from dicom_node.upper_layer.connection import Buffer
from dicom_node.upper_layer.proposal import ProposedContext
from dicom_node.upper_layer.requestor import MAX_CONTEXTS
from pacs.dicom.transcoding import TARGETS, CannotTranscode, can_transcode, transcode
from storage.errors import StoreError

IN_MEMORY_BYTES = 16 << 20
"""What of a transcoded data set is held in memory; what is longer lies in a temporary file."""
_PIECE_BYTES = 1 << 20

Kind = tuple[str, str]
"""SOP Class UID and Transfer Syntax UID."""


class NoContext(DicomNodeError):
    """The peer takes no objects of this SOP class in any transfer syntax that we can offer."""


@dataclass(frozen=True, slots=True)
class Originator:
    """On whose behalf objects are sent (PS3.4 C.4.2.3.1): (0000,1030) and (0000,1031)."""

    aet: str
    message_id: int


def proposals(
    kinds: Collection[Kind], takes: Collection[str] | None = None
) -> list[list[ProposedContext]]:
    """The contexts to propose for exactly these objects, one list for each association needed.

    Each kind has a context of its own, so that the peer says for each whether it takes it as it
    is stored; and each SOP class one more for each transfer syntax that it can be transcoded to.
    `takes`: the only transfer syntaxes that the peer is to be sent; None: any.
    """
    by_class: dict[str, list[str]] = {}
    for sop_class, stored in sorted(kinds):
        syntaxes = by_class.setdefault(sop_class, [])
        fallbacks = TARGETS if can_transcode(stored) else ()
        for syntax in (stored, *fallbacks):
            if syntax not in syntaxes and (takes is None or syntax in takes):
                syntaxes.append(syntax)
    lists: list[list[ProposedContext]] = [[]]
    for sop_class, syntaxes in by_class.items():
        if len(lists[-1]) + len(syntaxes) > MAX_CONTEXTS:
            lists.append([])
        lists[-1] += [ProposedContext(sop_class, (syntax,)) for syntax in syntaxes]
    return [contexts for contexts in lists if contexts]


class StorageUser:
    """Sends objects on an association, one at a time: `send`, then `answer`."""

    def __init__(
        self,
        association: Association,
        takes: Collection[str] | None = None,
        originator: Originator | None = None,
    ) -> None:
        """`takes`: the only transfer syntaxes that the peer is to be sent; None: any."""
        self.association = association
        self._originator = originator
        self.contexts: Mapping[Kind, Context] = {
            (context.abstract_syntax, context.transfer_syntax): context
            for context in association.contexts.values()
            if context.remote_is_scp and (takes is None or context.transfer_syntax in takes)
        }
        self._message_id = 0

    def context_for(self, sop_class_uid: str, transfer_syntax_uid: str) -> Context:
        """In which context an object goes, as it is or transcoded. Raises NoContext."""
        context = self.contexts.get((sop_class_uid, transfer_syntax_uid))
        if context is not None:
            return context
        for target in TARGETS if can_transcode(transfer_syntax_uid) else ():
            context = self.contexts.get((sop_class_uid, target))
            if context is not None:
                return context
        raise NoContext(
            f"{self.association.remote} takes SOP class {sop_class_uid} neither in transfer syntax"
            f" {transfer_syntax_uid} nor uncompressed"
        )

    def send(self, context: Context, sop_instance_uid: str, data: Iterable[Buffer]) -> None:
        """Send a C-STORE-RQ. Raises AssociationAborted, and what making `data` raises: where some
        of it has been sent by then, the association is aborted."""
        self._message_id = self.association.next_message_id()
        command = Command(
            command_field=C_STORE_RQ,
            message_id=self._message_id,
            affected_sop_class_uid=context.abstract_syntax,
            affected_sop_instance_uid=sop_instance_uid,
            priority=MEDIUM,
        )
        if self._originator is not None:
            command.move_originator_aet = self._originator.aet
            command.move_originator_message_id = self._originator.message_id
        pieces = _Counted(data)
        try:
            self.association.send(context.id, command, pieces)
        except StoreError:
            if pieces.taken:
                self.association.abort("a stored object could not be read to its end")
            raise

    def answer(self) -> Command:
        """Wait for the C-STORE-RSP to what was sent. Raises AssociationAborted."""
        message = self.association.receive()
        if message is None:
            raise AssociationAborted("the peer has released instead of answering")
        command = message.command
        if (
            command.command_field != C_STORE_RSP
            or command.message_id_being_responded_to != self._message_id
        ):
            self.association.abort("another message instead of a C-STORE-RSP")
            raise AssociationAborted("the peer has sent another message instead of a C-STORE-RSP")
        return command


@contextmanager
def transcoded(stored: BinaryIO, target: str) -> Iterator[Iterator[Buffer]]:
    """The data set of a stored Part 10 file in another transfer syntax, in pieces.

    Raises CannotTranscode.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as out:
        try:
            transcode(stored, target, cast(BinaryIO, out))
            out.seek(0)
        except OSError as error:
            raise CannotTranscode(
                f"it cannot be read or written: {error.strerror or error}"
            ) from error
        yield iter(lambda: out.read(_PIECE_BYTES), b"")


class _Counted:
    """Pieces, and how many of them have been taken."""

    def __init__(self, pieces: Iterable[Buffer]) -> None:
        self.taken = 0
        self._pieces = pieces

    def __iter__(self) -> Iterator[Buffer]:
        for piece in self._pieces:
            yield piece
            self.taken += 1
