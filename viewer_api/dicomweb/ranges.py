"""Parts of a body by bytes (RFC 9110 section 14), for what is one body: a frame, a video."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request

from viewer_api.problems import Problem

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from `start` up to `end`, not included, of `size`."""

    start: int
    end: int
    size: int

    @property
    def headers(self) -> dict[str, str]:
        """What a 206 answer says of it."""
        return {"Content-Range": f"bytes {self.start}-{self.end - 1}/{self.size}"}


def asked_part(request: Request, size: int, etag: str) -> Part | None:
    """The part that the request names; None where all is to be sent.

    Several ranges, other units and what cannot be read are answered with all of it, as is a part
    of what has changed meanwhile (If-Range). Raises a 416 problem.
    """
    named = _RANGE.fullmatch(request.headers.get("range", "").strip().lower())
    condition = request.headers.get("if-range")
    if named is None or (condition is not None and condition.strip() != etag):
        return None
    first, last = named.groups()
    if not first and not last:
        return None
    if first:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    else:
        start, end = max(0, size - int(last)), size
    if start >= end:
        raise Problem(
            416,
            "range_not_satisfiable",
            f"There are {size} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Part(start, end, size)
