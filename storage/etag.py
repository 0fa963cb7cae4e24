"""The checksum by which S3 proves what it has stored."""

import hashlib
from typing import BinaryIO


class EtagReader:
    """Reads `file` in parts of `part_size` bytes and knows the ETag S3 gives to what was read.

    That is the MD5 of a single part, and the MD5 of the parts' MD5s, ``-`` and their number where
    there are more.
    """

    def __init__(self, file: BinaryIO, part_size: int) -> None:
        self._file = file
        self._part_size = part_size
        self._finished: list[bytes] = []
        self._begin_part()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, never beyond the end of a part."""
        if self._room == 0:
            self._finished.append(self._part.digest())
            self._begin_part()
        data = self._file.read(min(size, self._room))
        self._part.update(data)
        self._room -= len(data)
        return data

    def etag(self) -> str:
        """Return the ETag of all that was read."""
        if not self._finished:
            return self._part.hexdigest()
        parts = [*self._finished, self._part.digest()]
        whole = hashlib.md5(b"".join(parts), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(parts)}"

    def _begin_part(self) -> None:
        self._part = hashlib.md5(usedforsecurity=False)
        self._room = self._part_size
