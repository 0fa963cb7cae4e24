"""How many associations there are, over all receivers of this machine.

Each association holds a slot in a small file that the receivers map into memory. A receiver that
dies leaves its slots taken; the one that is started in its place frees them.
"""

import fcntl
import mmap
import os
import tempfile
import threading

_TITLE_BYTES = 16  # an AE title, PS3.5 6.2
_SLOT_BYTES = 1 + _TITLE_BYTES  # the number of the receiver, 0 for none; the peer's AE title


def new_slots_file(most: int) -> int:
    """A descriptor of a new file with so many free slots, which has no name."""
    with tempfile.TemporaryFile() as file:
        file.truncate(most * _SLOT_BYTES)
        return os.dup(file.fileno())


class Slots:
    """The slots as one receiver sees them; receivers are numbered from 1. Thread-safe."""

    def __init__(self, descriptor: int, receiver: int = 1, receivers: int = 1) -> None:
        """Takes the descriptor over. What an earlier receiver of this number held is freed."""
        self._descriptor = descriptor
        self._receiver = receiver
        self._receivers = receivers
        self._map = mmap.mmap(descriptor, 0)
        self._most = len(self._map) // _SLOT_BYTES
        self._turn = threading.Lock()
        self._free_all()

    def claim(self, aet: str, most_of_device: int | None) -> int | None:
        """A slot for one more association of this AE title; None: there are enough."""
        title = aet.encode("ascii", "replace")[:_TITLE_BYTES].ljust(_TITLE_BYTES)
        with self._turn:
            self._lock()
            try:
                free, of_device = None, 0
                for number in range(self._most):
                    at = number * _SLOT_BYTES
                    if not self._map[at]:
                        free = number if free is None else free
                    elif self._map[at + 1 : at + _SLOT_BYTES] == title:
                        of_device += 1
                if free is None or (most_of_device is not None and of_device >= most_of_device):
                    return None
                at = free * _SLOT_BYTES
                self._map[at : at + _SLOT_BYTES] = bytes((self._receiver,)) + title
                return free
            finally:
                self._unlock()

    def release(self, slot: int) -> None:
        """Give a slot back; late, once all is over, that does nothing."""
        if not self._map.closed:
            self._map[slot * _SLOT_BYTES] = 0

    def is_busier_than_another(self) -> bool:
        """Whether another receiver has fewer associations than this one."""
        held = bytes(self._map[::_SLOT_BYTES])
        ours = held.count(self._receiver)
        others = (held.count(number) for number in range(1, self._receivers + 1))
        return ours > min(others)

    def close(self) -> None:
        """Close the file."""
        self._map.close()
        os.close(self._descriptor)

    def _free_all(self) -> None:
        for at in range(0, len(self._map), _SLOT_BYTES):
            if self._map[at] == self._receiver:
                self._map[at] = 0

    def _lock(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)

    def _unlock(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
