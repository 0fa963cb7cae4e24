"""What browsers may keep of bytes that do not change under their URL: frames and videos.

Private: they are one person's to see, and whoever signs in next has other cookies, for which the
browser asks anew. An hour, not a year: a modality may send an instance again with other bytes, and
a study may be withdrawn; after the hour the ETag, which is that of the stored object, decides.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from viewer_api.responses import unchanged

IMMUTABLE = {
    "Cache-Control": "private, max-age=3600, immutable",
    "Vary": "Accept, Authorization, Cookie",
}


def not_modified(request: Request, etag: str) -> Response | None:
    """304 where the caller has these bytes already."""
    answer = unchanged(request, etag)
    if answer is not None:
        answer.headers.update(IMMUTABLE)
    return answer
