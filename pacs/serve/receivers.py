"""The processes that receive DICOM: what they share, and what each is told.

They accept from the same sockets, which are bound here, so that a receiver that dies takes nobody
else's connection with it, and who calls meanwhile waits for the next.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from dicom_node.doors import Door
from dicom_node.slots import Slots, new_slots_file
from dicom_node.tls import listening_context
from pacs.serve.ports import hold
from pacs.settings import Settings


class Receivers:
    """Sockets and slots in the supervisor's hands."""

    def __init__(self, settings: Settings) -> None:
        """Raises PortUnavailable, and TlsUnusable before anything is bound."""
        self.count = settings.receivers
        if settings.dicom_tls_port is not None:
            listening_context(settings)
        self._sockets = [hold(settings.host, settings.dicom_port, "--dicom-port")]
        if settings.dicom_tls_port is not None:
            try:
                tls_port = settings.dicom_tls_port
                self._sockets.append(hold(settings.host, tls_port, "dicom_tls_port"))
            except BaseException:
                self._sockets[0].close()
                raise
        self._slots = os.fdopen(new_slots_file(settings.max_associations), "rb")

    @property
    def descriptors(self) -> list[int]:
        """What a receiver's process inherits."""
        return [*(held.fileno() for held in self._sockets), self._slots.fileno()]

    def order(self, number: int) -> dict[str, Any]:
        """What the receiver of this number, from 1, is told."""
        return {
            "sockets": [held.fileno() for held in self._sockets],
            "slots": self._slots.fileno(),
            "receiver": number,
            "receivers": self.count,
        }

    def close(self) -> None:
        """Let nobody call any more, once the receivers have closed theirs too."""
        for held in self._sockets:
            held.close()
        self._slots.close()


def doors_and_slots(settings: Settings, order: Mapping[str, Any]) -> tuple[list[Door], Slots]:
    """What a receiver makes of its order. Raises TlsUnusable."""
    plain, *tls = (socket.socket(fileno=descriptor) for descriptor in order["sockets"])
    doors = [Door(plain), *(Door(held, listening_context(settings)) for held in tls)]
    return doors, Slots(order["slots"], order["receiver"], order["receivers"])
