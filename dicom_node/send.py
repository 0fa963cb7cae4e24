"""Sending files to another application entity: Verification and Storage as SCU (PS3.4 A, B)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.errors import InvalidDicomError
from pynetdicom import _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

from dicom_node.errors import NotSendable, ObjectRefused, PeerUnavailable

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
MAX_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers of one byte

_WARNINGS = range(0xB000, 0xC000)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another application entity, and the name we call it under."""

    host: str
    port: int
    aet: str
    calling_aet: str = "FILMLESS_SCU"

    def echo(self) -> None:
        """C-ECHO. Raises PeerUnavailable."""
        association = self._associate([build_context(Verification)])
        try:
            if not association.send_c_echo():
                raise PeerUnavailable(f"{self} does not answer C-ECHO")
        finally:
            _end(association)

    def send(self, files: Sequence[Path]) -> Iterator[Path]:
        """C-STORE files as they are, on one association; each is yielded once the peer has it.

        Raises NotSendable, PeerUnavailable and ObjectRefused.
        """
        contexts = _contexts_for(files)
        association = self._associate(contexts)
        try:
            for number, file in enumerate(files):
                yield self._store(association, file, number % 0xFFFF + 1)
        finally:
            _end(association)

    def __str__(self) -> str:
        return f"{self.aet} at {self.host}:{self.port}"

    def _associate(self, contexts: list[PresentationContext]) -> Association:
        ae = ApplicationEntity(ae_title=self.calling_aet)
        ae.connection_timeout = CONNECT_SECONDS
        ae.acse_timeout = CONNECT_SECONDS
        ae.dimse_timeout = ANSWER_SECONDS
        association = ae.associate(self.host, self.port, contexts=contexts, ae_title=self.aet)
        if association.is_established:
            return association
        if association.is_rejected:
            answer = association.acceptor.primitive
            why = f"refuses the association: {answer.reason_str}" if answer else "refuses us"
        else:
            why = "cannot be reached, or broke off"
        raise PeerUnavailable(f"{self} {why}")

    def _store(self, association: Association, file: Path, message_id: int) -> Path:
        # Or the data set would be decoded and encoded anew, and not be the same bytes.
        _config.STORE_SEND_CHUNKED_DATASET = True
        try:
            response = association.send_c_store(file, msg_id=message_id)
        except ValueError as error:
            raise NotSendable(
                file, "the peer takes no such SOP class and transfer syntax"
            ) from error
        except RuntimeError as error:
            raise PeerUnavailable(f"{self} broke off") from error
        if "Status" not in response:
            raise PeerUnavailable(f"{self} broke off, or did not answer for {ANSWER_SECONDS:.0f} s")
        if response.Status != 0 and response.Status not in _WARNINGS:
            raise ObjectRefused(file, response.Status, str(response.get("ErrorComment", "")))
        return file


def _contexts_for(files: Sequence[Path]) -> list[PresentationContext]:
    wanted: dict[tuple[str, str], PresentationContext] = {}
    for file in files:
        meta = _file_meta(file)
        kind = (str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
        if kind not in wanted:
            wanted[kind] = build_context(*kind)
    if len(wanted) > MAX_CONTEXTS:
        raise NotSendable(files[0], f"over {MAX_CONTEXTS} kinds of objects on one association")
    return list(wanted.values())


def _file_meta(file: Path) -> Any:
    try:
        meta, _ = split_dataset(file)
    except (InvalidDicomError, OSError) as error:
        raise NotSendable(file, f"is no DICOM file: {error}") from error
    for name in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"):
        if not meta.get(name):
            raise NotSendable(file, f"its file meta information has no {name}")
    return meta


def _end(association: Association) -> None:
    if association.is_established:
        association.release()
