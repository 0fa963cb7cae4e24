"""A workstation: pynetdicom as who retrieves and receives, answering as a test says."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import ComputedRadiographyImageStorage, CTImageStorage
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move

from dicom_node.server import Node

CR, CT = ComputedRadiographyImageStorage, CTImageStorage


def asked(level: str, **keys: object) -> Dataset:
    """An identifier."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


class Workstation:
    """Retrieves, and receives what is sent, answering with the statuses that a test says."""

    def __init__(self) -> None:
        self.came: list[tuple[Dataset, str]] = []
        self.statuses: dict[str, int] = {}
        self.originators: list[tuple[str, int]] = []
        self.pause = 0.0

    def store(self, event: Any) -> int:
        """Take an object."""
        time.sleep(self.pause)
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self.came.append((dataset, event.context.transfer_syntax))
        request = event.request
        if request.MoveOriginatorApplicationEntityTitle is not None:
            self.originators.append(
                (request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID)
            )
        return self.statuses.get(str(dataset.SOPInstanceUID), 0x0000)

    def get(
        self,
        node: Node,
        identifier: Dataset,
        *syntaxes: str,
        cancel_after: int | None = None,
        aet: str = "TESTMOD",
    ) -> tuple[list[Any], Dataset | None]:
        """The responses to a C-GET, and the identifier of the last one. Radiographs are taken in
        one of `syntaxes`, all in one context, CT slices in pynetdicom's own."""
        association = AE(aet).associate(
            *node.address,
            contexts=[
                build_context(Get),
                build_context(CR, list(syntaxes) or None),
                build_context(CT),
            ],
            ext_neg=[build_role(CR, scp_role=True), build_role(CT, scp_role=True)],
            ae_title="FILMLESS",
            evt_handlers=[(evt.EVT_C_STORE, self.store)],
        )
        assert association.is_established
        responses: list[Any] = []
        if cancel_after is not None:
            self._cancel_after(cancel_after, association, Get)
        responses += association.send_c_get(identifier, Get, msg_id=5)
        association.release()
        return [status for status, _ in responses], responses[-1][1]

    def move(
        self, node: Node, to: str, identifier: Dataset, *, cancel_after: int | None = None
    ) -> tuple[list[Any], Dataset | None]:
        """The responses to a C-MOVE, and the identifier of the last one."""
        association = AE("TESTMOD").associate(
            *node.address, contexts=[build_context(Move)], ae_title="FILMLESS"
        )
        assert association.is_established
        if cancel_after is not None:
            self._cancel_after(cancel_after, association, Move)
        responses = list(association.send_c_move(identifier, to, Move, msg_id=5))
        association.release()
        return [status for status, _ in responses], responses[-1][1]

    def _cancel_after(self, count: int, association: Association, model: str) -> None:
        def cancel() -> None:
            while len(self.came) < count:
                time.sleep(0.005)
            association.send_c_cancel(5, None, model)

        threading.Thread(target=cancel, daemon=True).start()


@pytest.fixture
def workstation() -> Workstation:
    """A workstation that takes everything."""
    return Workstation()


@pytest.fixture
def listening(workstation: Workstation) -> Iterator[int]:
    """The port on which the workstation takes radiographs, in implicit VR little endian alone."""
    ae = AE("WS1")
    ae.add_supported_context(CR, ImplicitVRLittleEndian)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, workstation.store)]
    )
    yield server.server_address[1]
    server.shutdown()
