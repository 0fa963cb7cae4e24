"""Bodies as they go out: compressed where that pays, with an ETag, without joining large pieces."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from zlib_ng import zlib_ng

_WORTH_COMPRESSING = 1024
_FAST = 1
_GZIP = 31  # the window of zlib, with a header of gzip
_LONGEST_LIST = 4096

# Patient data: the browser may keep it for this person, and asks every time whether it still may.
PRIVATE = {"Cache-Control": "private, no-cache"}


class PiecesResponse(Response):
    """A body of several pieces that are never joined: a frame is many megabytes."""

    def __init__(
        self,
        pieces: Sequence[bytes | memoryview],
        headers: Mapping[str, str],
        media_type: str,
        status_code: int = 200,
    ) -> None:
        self._pieces = pieces
        length = sum(len(piece) for piece in pieces)
        super().__init__(
            None, status_code, {**headers, "Content-Length": str(length)}, media_type=media_type
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head, then each piece."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        last = len(self._pieces) - 1
        for position, piece in enumerate(self._pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": position < last})


def etag_of(*parts: bytes | str) -> str:
    """A strong ETag of whatever identifies the bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return f'"{digest.hexdigest()}"'


def known_etags(request: Request) -> set[str]:
    """The ETags of what the caller has already, each in its quotes."""
    header = request.headers.get("if-none-match", "")
    return {tag.strip().removeprefix("W/") for tag in header[:_LONGEST_LIST].split(",")}


def unchanged(request: Request, etag: str) -> Response | None:
    """304 where the caller has these bytes already (RFC 9110 section 13.1.2)."""
    known = known_etags(request)
    if etag in known or "*" in known:
        return Response(None, 304, {**PRIVATE, "ETag": etag})
    return None


def text_response(
    request: Request,
    pieces: Iterator[bytes] | bytes,
    media_type: str,
    *,
    headers: Mapping[str, str] | None = None,
    status_code: int = 200,
) -> Response:
    """Text, such as JSON, compressed where the caller takes gzip."""
    body = pieces if isinstance(pieces, bytes) else b"".join(pieces)
    sent = {**PRIVATE, **(headers or {}), "Vary": "Accept, Accept-Encoding"}
    if len(body) >= _WORTH_COMPRESSING and takes_gzip(request):
        body = zlib_ng.compress(body, _FAST, _GZIP)
        sent["Content-Encoding"] = "gzip"
    return Response(body, status_code, sent, media_type=media_type)


def takes_gzip(request: Request) -> bool:
    """Whether the Accept-Encoding header allows gzip."""
    return takes(request, "gzip")


def takes(request: Request, wanted: str) -> bool:
    """Whether the Accept-Encoding header allows that content coding."""
    for element in request.headers.get("accept-encoding", "")[:1024].split(","):
        coding, _, parameters = element.strip().lower().partition(";")
        if coding.strip() in (wanted, "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
