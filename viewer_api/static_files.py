"""Files as builds left them: compressed for who takes that, 304 for who has them."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from fastapi import Request
from starlette.responses import FileResponse, Response

from viewer_api.responses import etag_of, takes

FOR_EVER = "max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
_COPIES = (("br", ".br"), ("gzip", ".gz"))

mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("text/javascript", ".mjs")
mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("application/manifest+json", ".webmanifest")


def file_below(root: Path, path: str) -> Path | None:
    """The file of that relative path, if it is one and lies below the folder."""
    if not path or "\\" in path or any(part in ("", ".", "..") for part in path.split("/")):
        return None
    file = root / path
    return file if file.is_file() and file.resolve().is_relative_to(root.resolve()) else None


def file_response(request: Request, file: Path, cache_control: str) -> Response:
    """The file, or its compressed copy (`file.js.br`, `file.js.gz`) where the caller takes that."""
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    headers = {"Cache-Control": cache_control, "Vary": "Accept-Encoding"}
    sent = file
    for coding, suffix in _COPIES:
        copy = file.with_name(file.name + suffix)
        if takes(request, coding) and copy.is_file():
            headers["Content-Encoding"] = coding
            sent = copy
            break
    stat = sent.stat()
    headers["ETag"] = etag_of(sent.name, str(stat.st_mtime_ns), str(stat.st_size))
    known = request.headers.get("if-none-match", "").split(",")
    if headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known):
        return Response(None, 304, headers)
    return FileResponse(sent, headers=headers, media_type=media_type, stat_result=stat)
