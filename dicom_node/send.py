"""Calling other application entities: Verification, Storage and Storage Commitment as SCU (PS3.4 A,
B, J)."""

import ssl
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dicom_node.dimse import C_ECHO_RQ, C_ECHO_RSP, SUCCESS, Command, is_warning
from dicom_node.errors import (
    AssociationAborted,
    DicomNodeError,
    NotSendable,
    ObjectRefused,
    PeerUnavailable,
)
from dicom_node.storage_user import StorageUser
from dicom_node.tls import calling_context
from dicom_node.upper_layer.association import Association
from dicom_node.upper_layer.proposal import ProposedContext, Role
from dicom_node.upper_layer.requestor import MAX_CONTEXTS, associate
from dicom_node.upper_layer.timeouts import Timeouts
from pacs.devices import Device
from pacs.dicom.errors import NotDicom
from pacs.dicom.part10 import MAX_FILE_META_BYTES, read_file_meta
from pacs.outgoing import StoredObject
from pacs.settings import Settings

VERIFICATION = "1.2.840.10008.1.1"
ANSWER_SECONDS = 180.0
"""Slow archives take that long to make a large object safe."""
_USUAL_FILE_META_BYTES = 2048
_PREAMBLE_BYTES = 132
UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")
"""Explicit and Implicit VR Little Endian, for whatever is no stored object."""


class NotReachable(DicomNodeError):
    """A device whose host and port are not known."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another application entity, and the name we call it under."""

    host: str
    port: int
    aet: str
    calling_aet: str = "FILMLESS_SCU"
    tls: ssl.SSLContext | None = None

    def associate(
        self, contexts: Sequence[ProposedContext], roles: Mapping[str, Role] | None = None
    ) -> Association:
        """An association with it. Raises PeerUnavailable."""
        return associate(
            self.host,
            self.port,
            calling_aet=self.calling_aet,
            called_aet=self.aet,
            contexts=contexts,
            roles=roles,
            tls=self.tls,
            timeouts=Timeouts(idle=ANSWER_SECONDS),
        )

    def echo(self) -> None:
        """C-ECHO. Raises PeerUnavailable."""
        association = self.associate([ProposedContext(VERIFICATION, UNCOMPRESSED[::-1])])
        try:
            if not association.contexts:
                raise PeerUnavailable(f"{self} does not take C-ECHO")
            command = Command(
                command_field=C_ECHO_RQ,
                message_id=association.next_message_id(),
                affected_sop_class_uid=VERIFICATION,
            )
            association.send(next(iter(association.contexts)), command)
            answer = association.receive()
            if (
                answer is None
                or answer.command.command_field != C_ECHO_RSP
                or answer.command.status != SUCCESS
            ):
                raise PeerUnavailable(f"{self} does not answer C-ECHO by success")
        except AssociationAborted as aborted:
            raise PeerUnavailable(f"{self} broke off: {aborted}") from aborted
        finally:
            association.release()

    def send(self, files: Sequence[Path]) -> Iterator[Path]:
        """C-STORE files as they are, on one association; each is yielded once the peer has it.

        Raises NotSendable, PeerUnavailable and ObjectRefused.
        """
        sendable = [_Sendable.of(file) for file in files]
        contexts = [
            ProposedContext(sop_class, (syntax,))
            for sop_class, syntax in dict.fromkeys(
                (one.sop_class_uid, one.transfer_syntax_uid) for one in sendable
            )
        ]
        if len(contexts) > MAX_CONTEXTS:
            raise NotSendable(files[0], f"over {MAX_CONTEXTS} kinds of objects on one association")
        if not contexts:
            return
        association = self.associate(contexts)
        try:
            user = StorageUser(association)
            for one in sendable:
                self._store(user, one)
                yield one.file
        except AssociationAborted as aborted:
            raise PeerUnavailable(f"{self} broke off: {aborted}") from aborted
        finally:
            association.release()

    def __str__(self) -> str:
        return f"{self.aet} at {self.host}:{self.port}"

    def _store(self, user: StorageUser, one: "_Sendable") -> None:
        kind = (one.sop_class_uid, one.transfer_syntax_uid)
        context = user.contexts.get(kind)
        if context is None:
            raise NotSendable(one.file, "the peer takes no such SOP class and transfer syntax")
        with one.file.open("rb") as opened:
            stored = StoredObject(opened, one.file.stat().st_size, one.dataset_start)
            mapped = not user.association.is_encrypted
            user.send(context, one.sop_instance_uid, stored.dataset(mapped=mapped))
        answer = user.answer()
        status = answer.status or SUCCESS
        if status != SUCCESS and not is_warning(status):
            raise ObjectRefused(one.file, status, answer.error_comment or "")


def peer_of(device: Device, settings: Settings) -> Peer:
    """A known device as a peer that we call under our own name.

    Raises NotReachable, and TlsUnusable where it listens by TLS and we have no certificate.
    """
    if device.host is None or device.port is None:
        raise NotReachable(
            f"where {device.aet} listens is not known: pacs devices set {device.aet} --host --port"
        )
    tls = calling_context(settings) if device.tls else None
    return Peer(device.host, device.port, device.aet, settings.aet, tls)


@dataclass(frozen=True, slots=True)
class _Sendable:
    """A DICOM file and what its file meta information says."""

    file: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_start: int

    @classmethod
    def of(cls, file: Path) -> "_Sendable":
        """Raises NotSendable."""
        try:
            with file.open("rb", buffering=0) as opened:
                head = opened.read(_USUAL_FILE_META_BYTES)
                meta = read_file_meta(head)
                if meta is None:
                    head += opened.read(MAX_FILE_META_BYTES)
                    meta = read_file_meta(head)
        except (NotDicom, OSError) as error:
            raise NotSendable(file, f"is no DICOM file: {error}") from error
        if meta is None:
            raise NotSendable(file, "ends within its file meta information")
        uids = _uids(head[: meta.dataset_start])
        for element, name in _NEEDED.items():
            if not uids.get(element):
                raise NotSendable(file, f"its file meta information has no {name}")
        sop_class_uid, sop_instance_uid = (uids[element] for element in _NEEDED)
        return cls(
            file, sop_class_uid, sop_instance_uid, meta.transfer_syntax_uid, meta.dataset_start
        )


_NEEDED = {0x0002: "MediaStorageSOPClassUID", 0x0003: "MediaStorageSOPInstanceUID"}
_SHORT, _LONG = struct.Struct("<HH2sH"), struct.Struct("<I")


def _uids(meta: bytes) -> dict[int, str]:
    """The UIDs of file meta information that `read_file_meta` has found whole, by element."""
    found, at = {}, _PREAMBLE_BYTES
    while at + _SHORT.size <= len(meta):
        _, element, vr, length = _SHORT.unpack_from(meta, at)
        at += _SHORT.size
        if vr == b"UI":
            found[element] = meta[at : at + length].rstrip(b"\0 ").decode("ascii", "replace")
        elif vr in (b"OB", b"UN"):  # the only ones of group 2 with a long length
            length = _LONG.unpack_from(meta, at)[0] + _LONG.size
        at += length
    return found
